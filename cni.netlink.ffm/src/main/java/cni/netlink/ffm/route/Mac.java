package cni.netlink.ffm.route;

import java.util.HexFormat;
import java.util.regex.Pattern;

/** Hardware addresses as text: {@code c2:11:22:33:44:55}. */
public final class Mac {
  private static final Pattern SYNTAX =
      Pattern.compile("\\p{XDigit}{2}([:-]\\p{XDigit}{2}){5}|\\p{XDigit}{4}(\\.\\p{XDigit}{4}){2}");
  private static final HexFormat COLONS = HexFormat.ofDelimiter(":");

  private Mac() {}

  /**
   * Reads an address of six bytes, separated by colons or hyphens, or of three pairs of bytes,
   * separated by dots.
   *
   * @throws IllegalArgumentException if it is something else or a group's address, which no
   *     interface can have
   */
  public static byte[] parse(String text) {
    if (!SYNTAX.matcher(text).matches()) {
      throw new IllegalArgumentException("is not a hardware address, such as c2:11:22:33:44:55");
    }
    byte[] bytes = HexFormat.of().parseHex(text.replaceAll("[:.-]", ""));
    if ((bytes[0] & 1) != 0) {
      throw new IllegalArgumentException("is the hardware address of a group, not of an interface");
    }
    return bytes;
  }

  /** Lower case, with colons. */
  public static String format(byte[] bytes) {
    return COLONS.formatHex(bytes);
  }
}
