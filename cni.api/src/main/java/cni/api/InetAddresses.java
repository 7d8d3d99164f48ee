// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.math.BigInteger;
import java.net.Inet4Address;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.regex.Pattern;

/**
 * Conversions of IP addresses. Text is parsed strictly (no host names, no IPv4 shorthand, no zones)
 * and formatted as Go's net.IP does (RFC 5952 for IPv6), since the Go plugins use it as file names.
 */
public final class InetAddresses {
  private static final Pattern IPV4 =
      Pattern.compile(
          "(0|[1-9]\\d{0,2})\\.(0|[1-9]\\d{0,2})\\.(0|[1-9]\\d{0,2})\\.(0|[1-9]\\d{0,2})");

  private InetAddresses() {}

  /**
   * Parses an address. An IPv4-mapped IPv6 address gives the IPv4 address.
   *
   * @throws IllegalArgumentException if the text is not an address; the message continues a
   *     sentence that begins with the text
   */
  public static InetAddress parse(String text) {
    requireNonNull(text, "text");
    boolean v6 = text.indexOf(':') >= 0;
    if (v6 ? text.indexOf('%') >= 0 : !IPV4.matcher(text).matches()) {
      throw new IllegalArgumentException("is not an IP address");
    }
    try {
      return InetAddress.ofLiteral(text);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("is not an IP address", e);
    }
  }

  /**
   * Returns the address with the given bytes in network order. 16 bytes always give an IPv6
   * address, even an IPv4-mapped one.
   *
   * @throws IllegalArgumentException if there are not 4 or 16 bytes
   */
  public static InetAddress of(byte[] bytes) {
    requireNonNull(bytes, "bytes");
    try {
      return bytes.length == 4
          ? InetAddress.getByAddress(bytes)
          : Inet6Address.getByAddress(null, bytes, -1);
    } catch (UnknownHostException e) {
      throw new IllegalArgumentException("an address has 4 or 16 bytes, not " + bytes.length, e);
    }
  }

  /** Returns the canonical text, such as {@code 10.1.2.3} or {@code fd00::1}. */
  public static String format(InetAddress address) {
    requireNonNull(address, "address");
    return address instanceof Inet4Address
        ? String.valueOf(address.getHostAddress())
        : formatV6(address.getAddress());
  }

  /** RFC 5952, section 4: lower case, no leading zeros, the longest run of zero groups as "::". */
  private static String formatV6(byte[] bytes) {
    int[] groups = new int[8];
    for (int i = 0; i < 8; i++) {
      groups[i] = (bytes[2 * i] & 0xff) << 8 | (bytes[2 * i + 1] & 0xff);
    }
    int runStart = -1;
    int runLength = 1;
    for (int i = 0; i < 8; i++) {
      int end = i;
      while (end < 8 && groups[end] == 0) {
        end++;
      }
      if (end - i > runLength) {
        runStart = i;
        runLength = end - i;
      }
      i = Math.max(i, end - 1);
    }
    var text = new StringBuilder(39);
    for (int i = 0; i < 8; i++) {
      if (i == runStart) {
        text.append("::");
        i += runLength - 1;
        continue;
      }
      if (i > 0 && i != runStart + runLength) {
        text.append(':');
      }
      text.append(Integer.toHexString(groups[i]));
    }
    return text.toString();
  }

  /** Returns whether the address is IPv4. */
  public static boolean isV4(InetAddress address) {
    requireNonNull(address, "address");
    return address instanceof Inet4Address;
  }

  /** Returns the length of the address in bits: 32 or 128. */
  public static int bits(InetAddress address) {
    requireNonNull(address, "address");
    return isV4(address) ? 32 : 128;
  }

  /** Returns the address as an unsigned number. */
  public static BigInteger toNumber(InetAddress address) {
    requireNonNull(address, "address");
    return new BigInteger(1, address.getAddress());
  }

  /**
   * Returns the address with the given number.
   *
   * @param bits the length of the address: 32 or 128
   * @throws IllegalArgumentException if the number is negative or has more bits
   */
  public static InetAddress fromNumber(BigInteger number, int bits) {
    requireNonNull(number, "number");
    if (number.signum() < 0 || number.bitLength() > bits) {
      throw new IllegalArgumentException("outside the address space");
    }
    byte[] magnitude = number.toByteArray();
    byte[] bytes = new byte[bits / 8];
    int length = Math.min(magnitude.length, bytes.length);
    System.arraycopy(magnitude, magnitude.length - length, bytes, bytes.length - length, length);
    return of(bytes);
  }
}
