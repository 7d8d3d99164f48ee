// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.testing.JavaProcess;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@RequiresEtcd
@Timeout(60)
class ServerProcessTest {
  /** A JVM that starts a process, prints its ID and exits when its standard input ends. */
  static final class Launcher {
    private Launcher() {}

    @SuppressWarnings("SystemOut")
    public static void main(String[] arguments) throws Exception {
      // The thread that asks for the process ends before it does.
      Thread thread =
          Thread.ofPlatform()
              .start(
                  () -> {
                    try {
                      var sleep = List.of("sleep", "300");
                      Path output = Path.of(arguments[0]);
                      System.out.println(ServerProcess.start(List.of(), sleep, output).pid());
                    } catch (Exception e) {
                      throw new IllegalStateException(e);
                    }
                  });
      thread.join();
      System.in.read();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void processEndsWithTheJvm(boolean killed, @TempDir Path directory) throws Exception {
    String output = directory.resolve("output").toString();
    Process jvm =
        new ProcessBuilder(JavaProcess.command(Launcher.class, output))
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    long pid = Long.parseLong(jvm.inputReader().readLine());
    ProcessHandle sleep = ProcessHandle.of(pid).orElseThrow();
    Thread.sleep(200);
    assertTrue(sleep.isAlive());
    if (killed) {
      jvm.destroyForcibly();
    } else {
      jvm.getOutputStream().close();
    }
    assertTrue(jvm.waitFor(20, TimeUnit.SECONDS));
    Polling.await("the process has ended", () -> !sleep.isAlive());
  }
}
