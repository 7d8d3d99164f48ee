// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.PluginDaemon;
import java.util.List;

/** Runs a plugin's daemon in this process until a signal ends it. */
final class DaemonRunner {
  private DaemonRunner() {}

  /** Runs the daemon of a plugin type and returns the exit status. */
  static int run(String type, List<String> arguments) {
    PluginDaemon daemon = PluginDaemons.find(type).orElse(null);
    if (daemon == null) {
      System.err.println("cni: plugin " + type + " has no daemon in this image");
      return 2;
    }
    if (arguments.stream().anyMatch(it -> it.matches("-h|--?help"))) {
      System.out.print(daemon.usage());
      return 0;
    }
    // The process ends after the daemon has written its leases and removed its socket.
    try (var _ = new InterruptOnShutdown("cni-daemon-end")) {
      return run(daemon, arguments);
    }
  }

  private static int run(PluginDaemon daemon, List<String> arguments) {
    try {
      daemon.run(arguments);
      return 0;
    } catch (CniException e) {
      System.err.println("cni: " + e.getMessage());
      return 1;
    }
  }
}
