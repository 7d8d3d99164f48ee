package cni.netlink.ffm.nftables;

import cni.netlink.ffm.nftables.AnonymousSet.Element;
import java.math.BigInteger;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Pattern;

/**
 * Values from one to another, such as addresses or ports, in the network's byte order.
 *
 * @param firstBytes the first
 * @param lastBytes the last
 * @param prefix of the network that they are, in bits; -1 if they are none
 */
record ValueRange(Bytes firstBytes, Bytes lastBytes, int prefix) {
  private static final Pattern V4 = Pattern.compile("((0|[1-9]\\d*)(\\.|$)){4}");

  /** Reads an address, a network or a range: {@code 10.0.0.0/8}, {@code 10.0.0.1-10.0.0.9}. */
  static ValueRange parse(String word, TableFamily family) {
    int dash = word.indexOf('-');
    int slash = word.indexOf('/');
    if (dash >= 0) {
      Bytes first = address(word.substring(0, dash), family);
      Bytes last = address(word.substring(dash + 1), family);
      return ordered(first, last, word);
    }
    Bytes address = address(slash < 0 ? word : word.substring(0, slash), family);
    int bits = 8 * address.length();
    int prefix = slash < 0 ? bits : NftConditionParser.number(word.substring(slash + 1), bits);
    BigInteger hosts = BigInteger.ONE.shiftLeft(bits - prefix).subtract(BigInteger.ONE);
    BigInteger first = number(address).andNot(hosts);
    return new ValueRange(
        bytes(first, address.length()), bytes(first.or(hosts), address.length()), prefix);
  }

  private static Bytes address(String word, TableFamily family) {
    try {
      boolean whole =
          family != TableFamily.IP || V4.matcher(word).matches(); // "10.1" is 10.0.0.1 too
      InetAddress address = InetAddress.ofLiteral(whole ? word : "");
      if (address instanceof Inet4Address == (family == TableFamily.IP)) {
        return Bytes.of(address.getAddress());
      }
    } catch (IllegalArgumentException e) {
      // said below
    }
    throw new IllegalArgumentException("have " + word + " instead of an address of " + family);
  }

  /** Reads a port or a range of them: {@code 80}, {@code 8000-8080}. */
  static ValueRange ports(String word) {
    int dash = word.indexOf('-');
    String from = dash < 0 ? word : word.substring(0, dash);
    String to = dash < 0 ? word : word.substring(dash + 1);
    Bytes first = Bytes.be16(NftConditionParser.number(from, 65535));
    return ordered(first, Bytes.be16(NftConditionParser.number(to, 65535)), word);
  }

  private static ValueRange ordered(Bytes first, Bytes last, String word) {
    if (number(first).compareTo(number(last)) > 0) {
      throw new IllegalArgumentException("have range " + word + ", which ends before it begins");
    }
    return new ValueRange(first, last, -1);
  }

  /** The first as an address. */
  InetAddress first() {
    try {
      return InetAddress.getByAddress(firstBytes.toArray());
    } catch (UnknownHostException e) {
      throw new IllegalStateException(e); // the length is right
    }
  }

  private static BigInteger number(Bytes bytes) {
    return new BigInteger(1, bytes.toArray());
  }

  private static Bytes bytes(BigInteger number, int length) {
    byte[] all = new byte[length];
    byte[] digits = number.toByteArray();
    int count = Math.min(length, digits.length);
    System.arraycopy(digits, digits.length - count, all, length - count, count);
    return Bytes.of(all);
  }

  /** The set of all of them; those that touch become one, as nft does it. */
  static AnonymousSet toSet(AnonymousSet.Type type, List<ValueRange> ranges) {
    if (ranges.stream().allMatch(range -> range.firstBytes.equals(range.lastBytes))) {
      return new AnonymousSet(
          type, false, ranges.stream().map(it -> new Element(it.firstBytes, false)).toList());
    }
    List<ValueRange> sorted = new ArrayList<>(ranges);
    sorted.sort(Comparator.comparing(range -> number(range.firstBytes)));
    List<Element> elements = new ArrayList<>();
    // The kernel wants to be told that what comes before the first is not in the set.
    if (number(sorted.getFirst().firstBytes).signum() > 0) {
      elements.add(new Element(Bytes.repeated(type.length(), 0), true));
    }
    BigInteger limit = BigInteger.ONE.shiftLeft(8 * type.length());
    BigInteger end = BigInteger.valueOf(-1); // the one after the last of those so far
    for (ValueRange range : sorted) {
      BigInteger first = number(range.firstBytes);
      BigInteger next = number(range.lastBytes).add(BigInteger.ONE);
      if (first.compareTo(end) > 0) {
        addEnd(elements, end, limit, type);
        elements.add(new Element(range.firstBytes, false));
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
