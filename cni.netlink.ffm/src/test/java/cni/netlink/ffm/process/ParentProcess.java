package cni.netlink.ffm.process;

import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/** The main class of a process that starts another one and waits for it. */
final class ParentProcess {
  private ParentProcess() {}

  /** Starts such a process. */
  static Process start(String script) throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--enable-native-access=ALL-UNNAMED",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            System.getProperty("java.class.path", "").replace("::", File.pathSeparator),
            ParentProcess.class.getName(),
            script)
        .inheritIO()
        .start();
  }

  /**
   * Runs a script.
   *
   * @param args the script
   */
  public static void main(String[] args) throws Exception {
    try (ChildProcess child =
        ChildProcess.start(
            List.of("sh", "-c", args[0]), ChildEnvironment.inherited(), new byte[0], 1 << 20)) {
      boolean _ = child.communicate(Duration.ofSeconds(100));
    }
  }
}
