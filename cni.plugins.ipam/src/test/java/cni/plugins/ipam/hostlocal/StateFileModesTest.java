// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.testing.KernelTest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the plugin creates has the same mode whatever the umask; STATUS knows what it can write. */
@KernelTest
class StateFileModesTest {
  @TempDir private Path directory;

  private static Map<String, String> modes(Path top) throws IOException {
    Map<String, String> modes = new TreeMap<>();
    try (Stream<Path> files = Files.walk(top)) {
      for (Path file : files.toList()) {
        Object mode = Files.getAttribute(file, "unix:mode", LinkOption.NOFOLLOW_LINKS);
        String name = top.relativize(file).toString();
        modes.put(name, Integer.toOctalString((Integer) mode & 07777));
      }
    }
    return modes;
  }

  /** The reference plugin creates directories with 0755 and files with 0600 less the umask. */
  @ParameterizedTest
  @CsvSource({"000,single", "000,resident", "022,single", "077,single", "077,resident"})
  void modesAreIndependentOfTheUmask(String umask, String kind) throws Exception {
    Path data = directory.resolve("parent/data");
    assertEquals("0", HostLocalProcess.run("umask " + umask, "ADD", data.toString(), kind));
    assertEquals(
        Map.of(
            "", "755",
            "data", "755",
            "data/n", "755",
            "data/n/10.7.0.2", "600",
            "data/n/last_reserved_ip.0", "600",
            "data/n/lock", "600"),
        modes(directory.resolve("parent")));
    HostLocalProcess.run("umask " + umask, "DEL", data.toString(), kind);
    assertTrue(Files.notExists(data.resolve("n/10.7.0.2")));
  }

  private String status(String commands) throws IOException, InterruptedException {
    return HostLocalProcess.run(
        "set -e\nmount -t tmpfs -o size=64k tmpfs " + directory + "\n" + commands,
        "STATUS",
        directory.toString(),
        "single");
  }

  @ParameterizedTest
  @CsvSource({"true", "mkdir $D/n", "mkdir $D/n && touch $D/n/lock"})
  void statusRefusesAFullOrReadOnlyDirectory(String prepare) throws Exception {
    String commands = prepare.replace("$D", directory.toString());
    assertEquals("0", status(commands));
    String full = status(commands + "\nhead -c 1000000 /dev/zero >" + directory + "/f || true");
    assertTrue(full.startsWith("50 ") && full.contains("No space left"), full);
    String readOnly = status(commands + "\nmount -o remount,ro " + directory);
    assertTrue(readOnly.startsWith("50 ") && readOnly.contains("Read-only"), readOnly);
  }

  @Test
  void statusRefusesAFileInPlaceOfTheDirectory() throws Exception {
    String answer = status("touch " + directory + "/n");
    assertTrue(answer.startsWith("50 ") && answer.contains("Not a directory"), answer);
  }
}
