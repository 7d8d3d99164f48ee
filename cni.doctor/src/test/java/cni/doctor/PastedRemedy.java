// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;

/** What a user does with a remedy that begins with a command: pastes the line into a shell. */
public final class PastedRemedy {
  private static final List<String> COMMANDS =
      List.of(
          "bridge",
          "chmod",
          "chown",
          "cni",
          "conntrack",
          "ip",
          "ip6tables",
          "iptables",
          "modprobe",
          "mount",
          "mv",
          "nft",
          "nsenter",
          "rm",
          "sysctl");

  private PastedRemedy() {}

  /** Asserts that a remedy is words only, or commands with a comment. */
  public static void assertPasteable(String remedy) {
    if (!isCommand(remedy)) {
      return;
    }
    String commands = remedy.split(" {2}# ", 2)[0];
    for (String command : commands.split("; ", -1)) {
      assertTrue(isCommand(command), remedy);
    }
    assertFalse(commands.contains(", ") || commands.contains(" or "), remedy);
  }

  private static boolean isCommand(String text) {
    return COMMANDS.contains(text.split(" ", 2)[0]);
  }
}
