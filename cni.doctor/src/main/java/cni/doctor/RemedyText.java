// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import java.util.regex.Pattern;

/**
 * The text of remedies: commands that can be pasted into a shell, each with a comment where there
 * is more to say, or words where no command helps.
 */
public final class RemedyText {
  private static final Pattern UNQUOTED = Pattern.compile("[\\w@%+=:,./-]+");

  private RemedyText() {}

  /** Returns an argument as a shell takes it: in quotes if it has other than plain characters. */
  public static String quoted(Object argument) {
    String text = argument.toString();
    return UNQUOTED.matcher(text).matches() ? text : "'" + text.replace("'", "'\\''") + "'";
  }

  /**
   * Returns a command with a comment that a shell ignores: {@code sysctl -w net.ipv4.ip_forward=1 #
   * a file in /etc/sysctl.d may set it to 0}.
   */
  public static String commented(String command, String comment) {
    return command + "  # " + comment;
  }
}
