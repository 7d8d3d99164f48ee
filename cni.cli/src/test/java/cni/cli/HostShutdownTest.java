// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.daemon.HostServer;
import cni.daemon.HostSettings;
import cni.netlink.ffm.process.ServiceNotification;
import cni.testing.JavaProcess;
import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The end of a host that has a part which does not end. */
class HostShutdownTest {
  private static final int SIGTERM_STATUS = 143;

  @TempDir private Path directory;

  /** The host's process. */
  static final class HangingHost {
    private HangingHost() {}

    public static void main(String[] args) throws Exception {
      Path image = Path.of(System.getProperty("java.home"));
      var settings =
          new HostSettings(
              Path.of(args[0]), OptionalInt.empty(), image, "1.0", 1, Duration.ofSeconds(1));
      try (var shutdown = new HostShutdown(Duration.ofMillis(200));
          var server = HostServer.open(settings, (request, out, err) -> 0)) {
        shutdown.stopAtSignal(server, ServiceNotification.fromEnvironment());
        System.out.println("serves");
        endNever();
      }
    }

    private static void endNever() throws InterruptedException {
      new CountDownLatch(1).await();
    }
  }

  @Test
  void processEndsAndReportsWhatDoesNot() throws Exception {
    List<String> command =
        JavaProcess.command(HangingHost.class, directory.resolve("cni.sock").toString());
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    try (BufferedReader output = process.inputReader(StandardCharsets.UTF_8)) {
      String line = output.readLine();
      while (line != null && !line.equals("serves")) {
        line = output.readLine();
      }
      process.toHandle().destroy(); // destroy() of the process itself closes its output
      String text = output.lines().collect(Collectors.joining("\n"));
      assertTrue(process.waitFor(20, TimeUnit.SECONDS), text);
      assertEquals(SIGTERM_STATUS, process.exitValue());
      assertTrue(text.contains("the host ends before all of it has ended; it waits in"), text);
      assertTrue(text.contains("HangingHost.endNever"), text);
    } finally {
      process.destroyForcibly();
    }
  }
}
