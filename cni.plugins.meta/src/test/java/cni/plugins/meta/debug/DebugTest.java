// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.debug;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentId;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.Json;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.AttachmentUpdate;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.StringNode;

/** The debug plugin after another plugin of a chain. */
@KernelTest
class DebugTest {
  @Test
  void everyCallIsRecordedAndResultIsUnchanged() throws Exception {
    try (var host = new TestHost()) {
      NetNs a = host.container("a");
      Path calls = host.cache().resolveSibling("calls");
      String debug =
          """
          { "type": "debug", "cniOutput": "%s",
            "addHooks": [ [ "ip", "link", "set", "eth0", "alias", "hooked" ], [ "false" ] ] }
          """
              .formatted(calls);
      host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted(""), debug);
      try (Cni cni = host.openCni()) {
        Network network = cni.network("n");
        Result result = network.add(attachment(a));
        assertEquals(2, result.ips().size());
        assertTrue(TestBed.run(a, "ip", "link", "show", "eth0").contains("alias hooked"));
        network.check(attachment(a));
        network.status();
        network.gc(Set.of(attachment(a).id()));
        network.delete(attachment(a));
      }
      List<String> lines = Files.readAllLines(calls);
      assertEquals(
          List.of("CmdAdd", "CmdCheck", "CmdStatus", "CmdGC", "CmdDel"),
          lines.stream().filter(line -> line.startsWith("Cmd")).toList());
      assertTrue(lines.contains("ContainerID: " + attachment(a).containerId()));
      assertTrue(
          lines.stream().anyMatch(it -> it.startsWith("StdinData: ") && it.contains("prevResult")));
      host.assertNothingLeft("n", a);
    }
  }

  @Test
  void keysOfLaterCallsAreChanged(@TempDir Path directory) throws Exception {
    try (var host = new TestHost()) {
      NetNs a = host.container("a");
      String debug =
          "{ \"type\": \"debug\", \"cniOutput\": \"" + directory.resolve("first") + "\" }";
      host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted(""), debug);
      try (Cni cni = host.openCni()) {
        Network network = cni.network("n");
        network.add(attachment(a));
        AttachmentUpdate update =
            AttachmentUpdate.NONE
                .withKey(
                    "debug",
                    "cniOutput",
                    StringNode.valueOf(directory.resolve("second").toString()))
                .withKey(
                    "debug", "checkHooks", Json.parse("{\"of\":[[\"true\"]]}", "test").get("of"));
        assertEquals(List.of(), network.update(attachment(a).id(), update).steps());
        network.check(attachment(a));
        assertEquals(1, calls(directory.resolve("first")).size());
        assertEquals(List.of("CmdCheck"), calls(directory.resolve("second")));
        AttachmentId id = attachment(a).id();
        for (String key : List.of("addHooks", "delHooks")) { // without effect, and no list
          AttachmentUpdate refused =
              AttachmentUpdate.NONE.withKey("debug", key, StringNode.valueOf("x"));
          CniException e = assertThrows(CniException.class, () -> network.update(id, refused));
          assertTrue(String.valueOf(e.getMessage()).contains(key), e::getMessage);
        }
        network.delete(attachment(a));
      }
      host.assertNothingLeft("n", a);
    }
  }

  private static List<String> calls(Path file) throws IOException {
    return Files.readAllLines(file).stream().filter(line -> line.startsWith("Cmd")).toList();
  }

  @Test
  @Timeout(60)
  void outputIsAppendedToRegularFilesOnly(@TempDir Path directory) throws Exception {
    Path file = directory.resolve("calls");
    var plugin = new DebugPlugin();
    plugin.status(request(file));
    plugin.status(request(file));
    assertEquals(2, Files.readAllLines(file).stream().filter("CmdStatus"::equals).count());
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
    Path link = Files.createSymbolicLink(directory.resolve("link"), directory.resolve("target"));
    Path fifo = directory.resolve("fifo");
    assertEquals(0, new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor());
    for (Path refused : List.of(link, fifo, directory)) {
      CniException e = assertThrows(CniException.class, () -> plugin.status(request(refused)));
      assertEquals(5, e.code());
      assertTrue(String.valueOf(e.getMessage()).contains("not a regular file"), e::getMessage);
    }
    assertFalse(Files.exists(directory.resolve("target")));
  }

  private static NetworkRequest request(Path output) throws CniException {
    String json =
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"type\": \"debug\", \"cniOutput\": \"%s\" }"
            .formatted(output);
    var context =
        new CallContext(
            Optional.empty(),
            Deadline.after(Duration.ofMinutes(1)),
            type -> {
              throw new IllegalStateException(type); // debug delegates to none
            });
    return new NetworkRequest(
        PluginConfig.of(
            new ConfigObject(Json.parse(json.getBytes(StandardCharsets.UTF_8), "test"), "")),
        context);
  }
}
