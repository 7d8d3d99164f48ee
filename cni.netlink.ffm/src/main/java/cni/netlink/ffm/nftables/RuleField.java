// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static java.nio.charset.StandardCharsets.UTF_8;

import cni.netlink.ffm.nftables.Expression.Compare;
import cni.netlink.ffm.nftables.Expression.Connection;
import cni.netlink.ffm.nftables.Expression.Meta;
import cni.netlink.ffm.nftables.Expression.Payload;
import cni.netlink.ffm.route.IpFamily;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * What a register holds while the text of a rule is written.
 *
 * @param name the name in the syntax of nft(8): {@code ip saddr}
 * @param format how values are written
 * @param content the mask that applies, or the value of a constant; no bytes for none
 */
record RuleField(String name, Format format, Bytes content) {
  static final RuleField UNKNOWN = of("<unknown>", Format.HEX);
  static final RuleField FIB = of("fib daddr type", Format.ADDRESS_TYPE);

  private static final String PROTOCOL = "meta protocol";
  private static final int RTN_LOCAL = 2;
  private static final int RTN_BROADCAST = 3;
  private static final int RTN_MULTICAST = 5;

  /** How the values of a field are written. */
  enum Format {
    HEX,
    ADDRESS,
    NUMBER,
    PROTOCOL,
    NETWORK_PROTOCOL,
    NAME,
    HOST_ORDER,
    CONNECTION_STATE,
    DIRECTION,
    ADDRESS_TYPE,
    MAC
  }

  private static RuleField of(String name, Format format) {
    return new RuleField(name, format, Bytes.of());
  }

  /** Returns the value of an immediate expression. */
  static RuleField constant(Bytes value) {
    return new RuleField("<constant>", Format.HEX, value);
  }

  /** Returns a property by its key, NFT_META_*. */
  static RuleField meta(int key) {
    return switch (key) {
      case Meta.PROTOCOL -> of(PROTOCOL, Format.HEX);
      case Meta.MARK -> of("meta mark", Format.HOST_ORDER);
      case Meta.INPUT_NAME -> of("iifname", Format.NAME);
      case Meta.OUTPUT_NAME -> of("oifname", Format.NAME);
      case Meta.INPUT_KIND -> of("meta iifkind", Format.NAME);
      case Meta.OUTPUT_KIND -> of("meta oifkind", Format.NAME);
      case Meta.NETWORK_PROTOCOL -> of("meta nfproto", Format.NETWORK_PROTOCOL);
      case Meta.TRANSPORT_PROTOCOL -> of("meta l4proto", Format.PROTOCOL);
      default -> of("<meta " + key + ">", Format.HEX);
    };
  }

  /** Returns a property of the connection by its key, NFT_CT_*. */
  static RuleField connection(int key) {
    return switch (key) {
      case Connection.STATE -> of("ct state", Format.CONNECTION_STATE);
      case Connection.DIRECTION -> of("ct direction", Format.DIRECTION);
      default -> of("<ct " + key + ">", Format.HEX);
    };
  }

  /** Returns a field of a header; a single address may be loaded in part, for its prefix. */
  static RuleField payload(Payload payload, TableFamily family) {
    int offset = payload.offset();
    int length = payload.length();
    return switch (payload.base()) {
      case Payload.LINK_HEADER ->
          offset == 6 && length == 6
              ? of("ether saddr", Format.MAC)
              : offset == 0 && length == 6
                  ? of("ether daddr", Format.MAC)
                  : offset == 12 && length == 2 ? of("ether type", Format.HEX) : raw("ll", payload);
      case Payload.NETWORK_HEADER -> network(payload, family);
      case Payload.TRANSPORT_HEADER ->
          length == 2 && offset <= 2
              ? of(offset == 0 ? "th sport" : "th dport", Format.NUMBER)
              : length == 1 && offset == 0 ? of("icmp type", Format.NUMBER) : raw("th", payload);
      default -> raw("ih", payload);
    };
  }

  private static RuleField network(Payload payload, TableFamily family) {
    int offset = payload.offset();
    int length = payload.length();
    boolean mayBeV4 = family != TableFamily.IP6;
    boolean mayBeV6 = family != TableFamily.IP;
    if (mayBeV4 && length <= 4 && (offset == 12 || offset == 16)) {
      return of(offset == 12 ? "ip saddr" : "ip daddr", Format.ADDRESS);
    }
    if (mayBeV6 && length <= 16 && (offset == 8 || offset == 24)) {
      return of(offset == 8 ? "ip6 saddr" : "ip6 daddr", Format.ADDRESS);
    }
    return mayBeV4 && offset == 9 && length == 1
        ? of("ip protocol", Format.PROTOCOL)
        : mayBeV6 && offset == 6 && length == 1
            ? of("ip6 nexthdr", Format.PROTOCOL)
            : raw("nh", payload);
  }

  private static RuleField raw(String base, Payload payload) {
    return of("@%s,%d,%d".formatted(base, 8 * payload.offset(), 8 * payload.length()), Format.HEX);
  }

  RuleField named(String newName) {
    return new RuleField(newName, format, content);
  }

  RuleField masked(Bytes mask) {
    return new RuleField(name, format, mask);
  }

  /**
   * Returns whether a condition need not be written, because another one implies it: the IP version
   * before an address.
   */
  boolean isImpliedBy(Compare compare, TableFamily family) {
    return format == Format.NETWORK_PROTOCOL
        && compare.operator() == Compare.EQUAL
        && family == TableFamily.INET;
  }

  /** Returns whether the field is the IP version, or a bridged frame's protocol. */
  boolean isVersion() {
    return format == Format.NETWORK_PROTOCOL || name.equals(PROTOCOL);
  }

  /** Returns a condition. */
  String comparison(String operator, Bytes value) {
    if (format == Format.CONNECTION_STATE && content.length() > 0) {
      return name + " " + states(number(content));
    }
    if (content.length() == 0 || format == Format.ADDRESS) {
      return name + operator + value(value);
    }
    String mask = " & " + (format == Format.HOST_ORDER ? value(content) : content);
    return name + mask + (operator.isBlank() ? " == " : operator) + value(value);
  }

  /** Returns the text of a value of the field. */
  String value(Bytes value) {
    return switch (format) {
      case NUMBER -> decimal(value);
      case PROTOCOL -> protocol(value);
      case NETWORK_PROTOCOL -> decimal(value).equals("10") ? "ipv6" : "ipv4";
      case NAME -> interfaceName(value);
      case HOST_ORDER -> "0x%08x".formatted(number(value));
      case CONNECTION_STATE -> states(number(value));
      case DIRECTION -> decimal(value).equals("0") ? "original" : "reply";
      case ADDRESS_TYPE -> addressType(number(value));
      case MAC -> mac(value);
      case ADDRESS -> network(value);
      case HEX -> value.toString();
    };
  }

  private static String decimal(Bytes value) {
    long number = 0;
    for (byte part : value.toArray()) {
      number = number << 8 | Byte.toUnsignedInt(part);
    }
    return Long.toString(number);
  }

  private static int number(Bytes value) {
    return value.length() < 4
        ? 0
        : ByteBuffer.wrap(value.toArray()).order(ByteOrder.nativeOrder()).getInt();
  }

  private static String protocol(Bytes value) {
    String number = decimal(value);
    return switch (number) {
      case "1" -> "icmp";
      case "6" -> "tcp";
      case "17" -> "udp";
      case "58" -> "ipv6-icmp";
      case "132" -> "sctp";
      default -> number;
    };
  }

  /** A name without its terminating zero is the beginning of a name. */
  private static String interfaceName(Bytes value) {
    String text = new String(value.toArray(), UTF_8);
    int end = text.indexOf(0);
    return '"' + (end < 0 ? text + "*" : text.substring(0, end)) + '"';
  }

  private static String states(int bits) {
    List<String> states = new ArrayList<>();
    String[] names = {"invalid", "established", "related", "new"};
    for (int bit = 0; bit < names.length; bit++) {
      if ((bits & 1 << bit) != 0) {
        states.add(names[bit]);
      }
    }
    if ((bits & 1 << 6) != 0) {
      states.add("untracked");
    }
    return String.join(",", states);
  }

  private static String addressType(int type) {
    return switch (type) {
      case RTN_LOCAL -> "local";
      case RTN_BROADCAST -> "broadcast";
      case RTN_MULTICAST -> "multicast";
      default -> Integer.toString(type);
    };
  }

  private static String mac(Bytes value) {
    List<String> parts = new ArrayList<>();
    for (byte part : value.toArray()) {
      parts.add("%02x".formatted(part));
    }
    return String.join(":", parts);
  }

  /** Returns an address, with the length of its prefix if only that is compared. */
  private String network(Bytes value) {
    boolean isV4 = name.startsWith("ip ");
    int bits = 8 * value.length();
    if (content.length() > 0) {
      bits = 0;
      for (byte part : content.toArray()) {
        bits += Integer.bitCount(Byte.toUnsignedInt(part));
      }
    }
    IpFamily version = isV4 ? IpFamily.IPV4 : IpFamily.IPV6;
    String address = address(value, version);
    return bits == version.addressBits() ? address : address + "/" + bits;
  }

  /** Returns the first bytes of a value as an address. */
  static String address(Bytes value, IpFamily version) {
    try {
      byte[] bytes = value.first(version.addressLength()).toArray();
      String text = InetAddress.getByAddress(bytes).getHostAddress();
      return text.replaceFirst("(^|:)0(:0)+(:|$)", "::");
    } catch (UnknownHostException e) {
      throw new IllegalStateException("an address of 4 or 16 bytes is one", e);
    }
  }

  /** Returns the constant as an address. */
  String constantAddress(IpFamily version) {
    return content.length() == 0 ? name : address(content, version);
  }

  /** Returns the constant as a port. */
  String constantPort() {
    return content.length() < 2 ? name : decimal(content.first(2));
  }
}
