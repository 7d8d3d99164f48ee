// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import cni.netlink.ffm.nftables.AnonymousSet.Element;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Pattern;

/**
 * A range of values, such as addresses or ports, in network byte order.
 *
 * @param first the first value
 * @param last the last value, inclusive
 * @param prefix the length of the prefix in bits, if the range is a network; otherwise {@link
 *     #NO_NETWORK}
 */
record ValueRange(Bytes first, Bytes last, int prefix) {
  static final int NO_NETWORK = -1;

  /** The full notation. InetAddress reads shorter ones, too: "10.1" is 10.0.0.1. */
  private static final Pattern IPV4 = Pattern.compile("((0|[1-9]\\d*)(\\.|$)){4}");

  /** Returns a range of one value. */
  static ValueRange single(Bytes value) {
    return new ValueRange(value, value, NO_NETWORK);
  }

  /**
   * Parses an address, a network or a range: {@code 10.0.0.0/8}, {@code 10.0.0.1-10.0.0.9}.
   *
   * @throws IllegalArgumentException if the text is malformed or of another family
   */
  static ValueRange parse(String text, TableFamily family) {
    int dash = text.indexOf('-');
    int slash = text.indexOf('/');
    if (dash >= 0) {
      Bytes first = address(text.substring(0, dash), family);
      Bytes last = address(text.substring(dash + 1), family);
      return ordered(first, last, text);
    }
    Bytes address = address(slash < 0 ? text : text.substring(0, slash), family);
    int bits = 8 * address.length();
    int prefix = slash < 0 ? bits : NftConditionParser.number(text.substring(slash + 1), bits);
    BigInteger hostMask = BigInteger.ONE.shiftLeft(bits - prefix).subtract(BigInteger.ONE);
    BigInteger first = number(address).andNot(hostMask);
    return new ValueRange(
        bytes(first, address.length()), bytes(first.or(hostMask), address.length()), prefix);
  }

  private static Bytes address(String text, TableFamily family) {
    try {
      boolean isFull = family != TableFamily.IP || IPV4.matcher(text).matches();
      InetAddress address = InetAddress.ofLiteral(isFull ? text : "");
      if (TableFamily.of(address) == family) {
        return Bytes.of(address.getAddress());
      }
    } catch (IllegalArgumentException e) {
      // reported below
    }
    throw new IllegalArgumentException(
        "have " + text + ", which is not an address of family " + family);
  }

  /**
   * Parses a port or a range of ports: {@code 80}, {@code 8000-8080}.
   *
   * @throws IllegalArgumentException if the text is malformed
   */
  static ValueRange ports(String text) {
    int dash = text.indexOf('-');
    String from = dash < 0 ? text : text.substring(0, dash);
    String to = dash < 0 ? text : text.substring(dash + 1);
    Bytes first = Bytes.be16(NftConditionParser.number(from, 65535));
    return ordered(first, Bytes.be16(NftConditionParser.number(to, 65535)), text);
  }

  private static ValueRange ordered(Bytes first, Bytes last, String text) {
    if (number(first).compareTo(number(last)) > 0) {
      throw new IllegalArgumentException("have range " + text + ", which ends before it begins");
    }
    return new ValueRange(first, last, NO_NETWORK);
  }

  boolean isSingle() {
    return first.equals(last);
  }

  /** Returns the first value of a range of addresses. */
  InetAddress firstAddress() {
    try {
      return InetAddress.getByAddress(first.toArray());
    } catch (UnknownHostException e) {
      throw new IllegalStateException(e); // the length is right
    }
  }

  private static BigInteger number(Bytes bytes) {
    return new BigInteger(1, bytes.toArray());
  }

  private static Bytes bytes(BigInteger number, int length) {
    byte[] bytes = new byte[length];
    byte[] digits = number.toByteArray();
    int count = Math.min(length, digits.length);
    System.arraycopy(digits, digits.length - count, bytes, length - count, count);
    return Bytes.of(bytes);
  }

  /** Returns the set of all values. Ranges that overlap or touch are merged, as nft does. */
  static AnonymousSet toSet(AnonymousSet.Type type, List<ValueRange> ranges) {
    if (ranges.stream().allMatch(ValueRange::isSingle)) {
      return new AnonymousSet(
          type, false, ranges.stream().map(range -> new Element(range.first, false)).toList());
    }
    List<ValueRange> sorted = new ArrayList<>(ranges);
    sorted.sort(Comparator.comparing(range -> number(range.first)));
    List<Element> elements = new ArrayList<>();
    // The kernel requires an interval end at 0 for the values before the first range.
    if (number(sorted.getFirst().first).signum() > 0) {
      elements.add(new Element(Bytes.repeated(type.length(), 0), true));
    }
    BigInteger limit = BigInteger.ONE.shiftLeft(8 * type.length());
    BigInteger end = BigInteger.valueOf(-1); // the value after the last of the ranges so far
    for (ValueRange range : sorted) {
      BigInteger first = number(range.first);
      BigInteger next = number(range.last).add(BigInteger.ONE);
      if (first.compareTo(end) > 0) {
        addEnd(elements, end, limit, type);
        elements.add(new Element(range.first, false));
      }
      end = end.max(next);
    }
    addEnd(elements, end, limit, type);
    return new AnonymousSet(type, true, elements);
  }

  private static void addEnd(
      List<Element> elements, BigInteger end, BigInteger limit, AnonymousSet.Type type) {
    if (end.signum() > 0 && end.compareTo(limit) < 0) {
      elements.add(new Element(bytes(end, type.length()), true));
    }
  }
}
