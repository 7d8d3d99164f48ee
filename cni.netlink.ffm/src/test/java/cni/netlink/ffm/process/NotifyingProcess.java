// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import cni.testing.JavaProcess;
import java.io.IOException;
import java.util.List;
import java.util.Map;

/** The main class of a process that notifies the service manager. */
final class NotifyingProcess {
  private NotifyingProcess() {}

  /** Starts the process with variables that systemd would set. */
  static Process start(Map<String, String> variables) throws IOException {
    List<String> command = JavaProcess.command(NotifyingProcess.class);
    var builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().keySet().removeAll(List.of("NOTIFY_SOCKET", "WATCHDOG_USEC"));
    builder.environment().putAll(variables);
    return builder.start();
  }

  /** Sends each notification and prints the watchdog's timeout. */
  public static void main(String[] args) {
    ServiceNotification notification = ServiceNotification.fromEnvironment();
    notification.ready();
    notification.status("2 calls\nREADY=0");
    notification.watchdog();
    notification.stopping();
    System.out.println(notification.watchdogTimeout());
  }
}
