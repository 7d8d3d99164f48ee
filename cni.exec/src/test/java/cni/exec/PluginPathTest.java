// SPDX-License-Identifier: Apache-2.0
package cni.exec;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import cni.api.CniException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PluginPathTest {
  @TempDir private Path directory;

  @Test
  void firstDirectoryWithTheExecutableWins() throws Exception {
    Path first = Files.createDirectory(directory.resolve("first"));
    Path second = Files.createDirectory(directory.resolve("second"));
    Path inFirst = executable(first.resolve("a"));
    executable(second.resolve("a"));
    Path onlySecond = executable(second.resolve("b"));
    Files.writeString(first.resolve("b"), "not executable");
    Files.createDirectory(first.resolve("c"));
    PluginPath path = PluginPath.parse(first + "::" + second + ":" + directory.resolve("none"));
    assertEquals(Optional.of(inFirst), path.find("a"));
    assertEquals(Optional.of(onlySecond), path.find("b"));
    assertEquals(Optional.empty(), path.find("c"));
    assertEquals(List.of("a", "b"), List.copyOf(path.list().keySet()));
    assertEquals(inFirst, path.list().get("a"));
  }

  @Test
  void typeThatIsAPathIsRefused() {
    PluginPath path = new PluginPath(List.of(directory));
    for (String type : List.of("../x", "/bin/sh", "", "..", "a/b", "a\0b")) {
      CniException e = assertThrows(CniException.class, () -> path.find(type), type);
      assertEquals(7, e.code());
    }
  }

  private static Path executable(Path file) throws IOException {
    Files.writeString(file, "");
    return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }
}
