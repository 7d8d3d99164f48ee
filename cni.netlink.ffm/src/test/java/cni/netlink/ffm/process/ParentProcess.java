// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import cni.testing.JavaProcess;
import java.io.IOException;
import java.time.Duration;
import java.util.List;

/** The main class of a process that starts another one and waits for it. */
final class ParentProcess {
  private ParentProcess() {}

  /** Starts such a process. */
  static Process start(String script) throws IOException {
    return new ProcessBuilder(JavaProcess.command(ParentProcess.class, script)).inheritIO().start();
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
