// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import java.util.Arrays;
import java.util.HexFormat;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Pattern;

/** Parses, formats and makes hardware addresses such as {@code c2:11:22:33:44:55}. */
public final class Mac {
  private static final Pattern SYNTAX =
      Pattern.compile("\\p{XDigit}{2}([:-]\\p{XDigit}{2}){5}|\\p{XDigit}{4}(\\.\\p{XDigit}{4}){2}");
  private static final HexFormat COLONS = HexFormat.ofDelimiter(":");

  private Mac() {}

  /**
   * Parses a unicast address of six bytes, separated by colons or hyphens, or in three groups of
   * two bytes, separated by dots.
   *
   * @return the six bytes
   * @throws IllegalArgumentException if the text is malformed, or the address is a multicast
   *     address or zero, which no interface can be given (is_valid_ether_addr of the kernel). The
   *     message continues a sentence that begins with the text: "is not a hardware address, …"
   */
  public static byte[] parse(String text) {
    if (!SYNTAX.matcher(text).matches()) {
      throw new IllegalArgumentException("is not a hardware address, such as c2:11:22:33:44:55");
    }
    byte[] bytes = HexFormat.of().parseHex(text.replaceAll("[:.-]", ""));
    if ((bytes[0] & 1) != 0) {
      throw new IllegalArgumentException("is the hardware address of a group, not of an interface");
    }
    if (Arrays.equals(bytes, new byte[bytes.length])) {
      throw new IllegalArgumentException("is zero, which no interface can have");
    }
    return bytes;
  }

  /** Returns a random unicast, locally administered address. */
  public static byte[] random() {
    byte[] mac = new byte[6];
    ThreadLocalRandom.current().nextBytes(mac);
    mac[0] = (byte) ((mac[0] & 0xfc) | 0x02);
    return mac;
  }

  /** Formats an address in lower case, with colons. */
  public static String format(byte[] bytes) {
    return COLONS.formatHex(bytes);
  }
}
