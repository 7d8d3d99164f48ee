// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentRequest;
import cni.api.PluginConfig;
import cni.testing.JavaProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A process killed at any instant leaves complete reservations only. */
class CrashConsistencyTest {
  private static final int KILLS = 12;
  private static final Pattern RESERVATION = Pattern.compile("p\\d+-\\d+\r\neth0");

  @TempDir private Path directory;

  @Test
  void killedProcessLeavesNoIncompleteReservation() throws Exception {
    var random = new Random(7);
    for (int kill = 0; kill < KILLS; kill++) {
      Process process = start("p" + kill + "-");
      assertEquals('r', process.getInputStream().read());
      Thread.sleep(random.nextInt(60));
      process.destroyForcibly().waitFor();
      assertEquals(128 + 9, process.exitValue(), "the process ended before it was killed");
      requireComplete();
    }
    // The plugin works with the directory that the killed processes left.
    var plugin = new HostLocalPlugin();
    PluginConfig config = AllocationLoop.config(directory.toString());
    AttachmentRequest request = AllocationLoop.request(config, "after");
    plugin.add(request);
    plugin.check(request);
    plugin.delete(request);
  }

  private Process start(String prefix) throws IOException {
    List<String> command = JavaProcess.command(AllocationLoop.class, directory.toString(), prefix);
    return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
  }

  private void requireComplete() throws IOException {
    int reservations = 0;
    try (Stream<Path> files = Files.list(directory.resolve("n"))) {
      for (Path file : files.toList()) {
        if (file.getFileName().toString().startsWith("10.")) {
          String content = Files.readString(file);
          assertTrue(RESERVATION.matcher(content).matches(), () -> file + ": " + content);
          reservations++;
        }
      }
    }
    assertTrue(reservations > 0);
  }
}
