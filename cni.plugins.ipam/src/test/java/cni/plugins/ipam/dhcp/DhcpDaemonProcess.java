// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.testing.JavaProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The daemon in a process of its own, which may have another umask. */
final class DhcpDaemonProcess {
  private DhcpDaemonProcess() {}

  /** Arguments: the daemon's. */
  public static void main(String[] args) throws Exception {
    new DhcpDaemon().run(List.of(args));
  }

  /** Starts the process; its output goes to a file. */
  static Process start(String umask, Path log, String... arguments) throws IOException {
    List<String> command =
        new ArrayList<>(List.of("sh", "-c", "umask " + umask + "\nexec \"$@\"", "sh"));
    command.addAll(JavaProcess.command(DhcpDaemonProcess.class, arguments));
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(log.toFile())
        .start();
  }

  /** Waits until a file exists; fails if the process ends before. */
  static void await(Process process, Path file, Path log) throws Exception {
    for (int i = 0; i < 1200 && Files.notExists(file); i++) {
      if (!process.isAlive()) {
        throw new AssertionError(Files.readString(log));
      }
      Thread.sleep(50);
    }
  }
}
