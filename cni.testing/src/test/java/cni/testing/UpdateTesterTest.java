// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.Differences;
import cni.api.Differences.Action;
import cni.api.Json;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

class UpdateTesterTest {
  @TempDir Path directory;

  /** Wants the files {@code 1} and {@code 2} in the directory. */
  private class FilePlugin implements UpdatablePlugin {
    @Override
    public Result compare(UpdateRequest request, Differences differences) throws CniException {
      for (String name : List.of("1", "2")) {
        Path file = directory.resolve(name);
        if (!Files.exists(file)) {
          differences.add(
              name + " is missing",
              "create " + name,
              () -> Files.createFile(file),
              () -> undo(file));
        }
      }
      return Result.EMPTY;
    }

    void undo(Path file) throws IOException {
      Files.delete(file);
    }

    @Override
    public Set<String> changeableKeys() {
      return Set.of();
    }

    @Override
    public String type() {
      return "files";
    }

    @Override
    public Result add(AttachmentRequest request) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void delete(AttachmentRequest request) {}
  }

  private UpdateTester tester(UpdatablePlugin plugin) throws CniException {
    var config = PluginConfig.of(new ConfigObject(Json.parse("{\"type\":\"files\"}", "test"), ""));
    var context = new CallContext(Optional.empty(), Deadline.none(), type -> new FilePlugin());
    var request =
        new AttachmentRequest(
            config, Attachment.of("id", directory, "eth0"), Optional.of(Result.EMPTY), context);
    return new UpdateTester(
        plugin, UpdateRequest.unchanged(request), () -> HostSnapshot.of(directory));
  }

  private static void assertFails(String message, Executable executable) {
    var error = assertThrows(AssertionError.class, executable);
    assertTrue(String.valueOf(error.getMessage()).contains(message), error::getMessage);
  }

  @Test
  void changesAreUndoneAndMade() throws Exception {
    UpdateTester tester = tester(new FilePlugin());
    assertEquals(Optional.of("1 is missing; 2 is missing"), tester.check());
    assertEquals(List.of("1 is missing", "2 is missing"), tester.compare());
    tester.requireUndo();
    assertEquals(2, tester.compare().size());
    assertEquals(Result.EMPTY, tester.apply());
    assertEquals(Optional.empty(), tester.check());
    assertFails("nothing to undo", tester::requireUndo);
  }

  @Test
  void anIncompleteUndoIsFound() throws Exception {
    var plugin =
        new FilePlugin() {
          @Override
          void undo(Path file) throws IOException {
            if (file.endsWith("1")) {
              super.undo(file);
            }
          }
        };
    tester(plugin).applyFailingAfter(1);
    assertFails(
        "undoing [create 2, create 1], in this order, left:\n+ 2", tester(plugin)::requireUndo);
  }

  @Test
  void aComparisonThatChangesSomethingIsFound() throws Exception {
    var plugin =
        new FilePlugin() {
          @Override
          public Result compare(UpdateRequest request, Differences differences)
              throws CniException {
            try {
              Files.writeString(directory.resolve("3"), "");
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
            return super.compare(request, differences);
          }
        };
    assertFails("+ 3", tester(plugin)::compare);
  }

  @Test
  void aRemainingDifferenceIsFound() throws Exception {
    var plugin =
        new FilePlugin() {
          @Override
          public Result compare(UpdateRequest request, Differences differences)
              throws CniException {
            Result result = super.compare(request, differences);
            differences.add("3 is missing", "create 3", Action.NONE, Action.NONE);
            return result;
          }
        };
    assertFails("found after all changes: [3 is missing]", tester(plugin)::apply);
  }

  @Test
  void aDifferenceWithoutAChangeIsFound() throws Exception {
    var plugin =
        new FilePlugin() {
          @Override
          public Result compare(UpdateRequest request, Differences differences) {
            differences.addUnchangeable("the interface is missing");
            return Result.EMPTY;
          }
        };
    assertFails("no change removes: the interface is missing", tester(plugin)::apply);
  }
}
