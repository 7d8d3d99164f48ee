package cni.doctor;

/**
 * The text of remedies: commands that can be pasted into a shell, each with a comment where there
 * is more to say, or words where no command helps.
 */
public final class RemedyText {
  private RemedyText() {}

  /**
   * Returns a command with a comment that a shell ignores: {@code sysctl -w net.ipv4.ip_forward=1 #
   * a file in /etc/sysctl.d may set it to 0}.
   */
  public static String commented(String command, String comment) {
    return command + "  # " + comment;
  }
}
