// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;

/**
 * What happens to the resident host while a runtime runs containers. The commands are evaluated by
 * the scripts of the resources; clients.sh defines the functions.
 */
enum HostScenario {
  /** No host: every plugin is a process. */
  NONE("", "", "", false),

  /** A host from before the first container until after the last one. */
  RUNNING(HostScenario.SERVE, "", "", true),

  /** The host starts between two containers. */
  STARTED("", "host_start '" + HostScenario.SERVE + "'", "", true),

  /** The host ends in an orderly way while an ADD runs. */
  STOPPED(HostScenario.SERVE, "", "host_stop", false),

  /** The host is killed while an ADD runs. */
  KILLED(HostScenario.SERVE, "", "host_kill", false),

  /** Another image is installed between two containers, and its host started. */
  REPLACED(
      HostScenario.SERVE,
      "host_upgrade; host_stop; host_start '" + HostScenario.SERVE + "'",
      "",
      true),

  /** Another image is installed between two containers, and the host of the old one stays. */
  OUTDATED(HostScenario.SERVE, "host_upgrade", "", true),

  /** A host that closes every connection. */
  HANGING_UP(HostScenario.HANGUP, "", "", true);

  private static final String HANGUP = "/usr/bin/python3 \"$scripts/hangup-host.py\"";

  /** The command of the host. */
  private static final String SERVE = "\"$cni\" serve";

  private final String start;
  private final String middle;
  private final String during;
  private final boolean runsAtEnd;

  HostScenario(String start, String middle, String during, boolean runsAtEnd) {
    this.start = start;
    this.middle = middle;
    this.during = during;
    this.runsAtEnd = runsAtEnd;
  }

  /** Returns the command of the host that runs from the beginning, or an empty string. */
  String start() {
    return start;
  }

  /** Returns what is done between the first and the second container. */
  String middle() {
    return middle;
  }

  /** Returns what is done while an ADD of the second container runs. */
  String during() {
    return during;
  }

  /** Returns whether an ADD of the second container may fail, to be repeated. */
  boolean mayInterruptAdd() {
    return !during.isEmpty();
  }

  /** Checks what host_report printed. */
  void assertReport(String text) {
    String expected = runsAtEnd ? "host: running" : "host: none";
    assertEquals(
        List.of(expected), text.lines().filter(it -> it.startsWith("host:")).toList(), text);
    // Without a native launcher the script reports no starts: nothing asks the host.
    boolean servesAll = this == RUNNING || this == REPLACED;
    for (String line : text.lines().filter(it -> it.startsWith("image starts:")).toList()) {
      assertEquals(servesAll, line.equals("image starts: 0"), text);
    }
  }
}
