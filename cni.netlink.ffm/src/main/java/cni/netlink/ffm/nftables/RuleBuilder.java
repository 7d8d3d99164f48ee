// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.NftablesConstants.NFT_REG_1;
import static cni.netlink.ffm.nftables.NftablesConstants.NFT_REG_2;
import static java.nio.charset.StandardCharsets.UTF_8;

import cni.netlink.ffm.nftables.Expression.Compare;
import cni.netlink.ffm.nftables.Expression.Meta;
import cni.netlink.ffm.nftables.Expression.Payload;
import cni.netlink.ffm.route.IpFamily;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Builds rules of the same expressions that nft(8) generates from its syntax, so that nft lists
 * them as its own. Each method appends a condition or an action. {@link IptablesRuleBuilder} does
 * the same for iptables.
 */
public final class RuleBuilder {
  // transport protocols, IPPROTO_* of linux/in.h
  public static final int TCP = 6;
  public static final int UDP = 17;
  public static final int SCTP = 132;
  private static final int ICMPV6 = 58;

  // types of frames, ETH_P_* of linux/if_ether.h
  public static final int ETHER_IPV4 = 0x0800;
  public static final int ETHER_ARP = 0x0806;
  public static final int ETHER_IPV6 = 0x86dd;

  /** IFNAMSIZ of linux/if.h. */
  private static final int IFNAMSIZ = 16;

  /** RTN_LOCAL of linux/rtnetlink.h. */
  private static final int RTN_LOCAL = 2;

  private final TableFamily family;
  private final List<Expression> expressions = new ArrayList<>();
  private PacketField.Requirement networkProtocol = PacketField.Requirement.NONE;
  private int transportProtocol;

  private RuleBuilder(TableFamily family) {
    this.family = family;
  }

  /** Returns a builder of a rule for a table of a family. */
  public static RuleBuilder forFamily(TableFamily family) {
    return new RuleBuilder(family);
  }

  /** Returns the rule, without user data. */
  public Rule build() {
    return new Rule(expressions, Userdata.NONE);
  }

  /** Appends an expression. */
  public RuleBuilder append(Expression expression) {
    expressions.add(expression);
    return this;
  }

  private RuleBuilder compare(int operator, Bytes data) {
    return append(new Compare(operator, NFT_REG_1, data));
  }

  /**
   * {@code ip saddr}: matches packets from a network.
   *
   * @param operator {@link Compare#EQUAL}, or {@link Compare#NOT_EQUAL} for any other network
   * @param prefix the length of the network's prefix, in bits
   */
  public RuleBuilder source(int operator, InetAddress network, int prefix) {
    return address(operator, network, prefix, true);
  }

  /**
   * {@code ip daddr}: matches packets to a network.
   *
   * @param operator {@link Compare#EQUAL}, or {@link Compare#NOT_EQUAL} for any other network
   * @param prefix the length of the network's prefix, in bits
   */
  public RuleBuilder destination(int operator, InetAddress network, int prefix) {
    return address(operator, network, prefix, false);
  }

  private RuleBuilder address(int operator, InetAddress network, int prefix, boolean source) {
    Bytes address = Bytes.of(network.getAddress());
    // As nft does: of a prefix of whole bytes only those are loaded, any other is masked.
    int length = prefix > 0 && prefix % 8 == 0 ? prefix / 8 : address.length();
    loadAddress(IpFamily.of(network), length, source);
    if (prefix % 8 == 0 && prefix > 0) {
      return compare(operator, address.first(length));
    }
    Bytes mask = mask(address.length(), prefix);
    append(new Expression.Bitwise(NFT_REG_1, NFT_REG_1, mask, Bytes.repeated(mask.length(), 0)));
    return compare(operator, address.and(mask));
  }

  private static Bytes mask(int length, int prefix) {
    byte[] mask = new byte[length];
    for (int bit = 0; bit < prefix; bit++) {
      mask[bit / 8] |= (byte) (0x80 >> bit % 8);
    }
    return Bytes.of(mask);
  }

  /**
   * Loads the first bytes of an address.
   *
   * @param length the number of bytes
   * @param source whether to load the source address, rather than the destination address
   */
  RuleBuilder loadAddress(IpFamily version, int length, boolean source) {
    networkProtocol(version);
    int offset = version == IpFamily.IPV4 ? (source ? 12 : 16) : source ? 8 : 24;
    return append(new Payload(Payload.NETWORK_HEADER, offset, length, NFT_REG_1));
  }

  /**
   * {@code meta nfproto}, in a table of bridged frames {@code meta protocol}: matches packets of an
   * IP version, unless the rule already does or the table has no other.
   */
  public RuleBuilder networkProtocol(IpFamily version) {
    return require(
        version == IpFamily.IPV4 ? PacketField.Requirement.IPV4 : PacketField.Requirement.IPV6);
  }

  private RuleBuilder require(PacketField.Requirement wanted) {
    if (wanted == PacketField.Requirement.NONE || wanted == networkProtocol) {
      return this;
    }
    boolean isIpv4 = wanted == PacketField.Requirement.IPV4;
    if (wanted == PacketField.Requirement.ARP) {
      etherType(Compare.EQUAL, ETHER_ARP);
    } else if (family == TableFamily.INET) {
      append(new Meta(Meta.NETWORK_PROTOCOL, NFT_REG_1));
      compare(Compare.EQUAL, Bytes.of((byte) TableFamily.of(version(isIpv4)).number()));
    } else if (family == TableFamily.BRIDGE) {
      append(new Meta(Meta.PROTOCOL, NFT_REG_1));
      compare(Compare.EQUAL, Bytes.be16(isIpv4 ? ETHER_IPV4 : ETHER_IPV6));
    }
    networkProtocol = wanted;
    return this;
  }

  private static IpFamily version(boolean isIpv4) {
    return isIpv4 ? IpFamily.IPV4 : IpFamily.IPV6;
  }

  /**
   * {@code ether type}: matches frames by the type in their header, ETH_P_* of linux/if_ether.h.
   * That of a frame with a VLAN tag is 0x8100, whatever it contains.
   *
   * @param operator {@link Compare#EQUAL}, or {@link Compare#NOT_EQUAL} for frames of none of the
   *     types
   */
  public RuleBuilder etherType(int operator, int... types) {
    append(new Payload(Payload.LINK_HEADER, 12, 2, NFT_REG_1));
    return in(operator, AnonymousSet.Type.ETHER_TYPE, IntStream.of(types).mapToObj(Bytes::be16));
  }

  /** Compares register 1 with a single value or a set. */
  private RuleBuilder in(int operator, AnonymousSet.Type type, Stream<Bytes> values) {
    List<Bytes> all = values.toList();
    if (all.size() == 1) {
      return compare(operator, all.getFirst());
    }
    AnonymousSet set = AnonymousSet.ofValues(type, all);
    return append(Expression.Lookup.ofSet(set, NFT_REG_1, operator == Compare.NOT_EQUAL));
  }

  /** {@code ip saddr . th dport @set}: matches packets whose fields are an element of a set. */
  public RuleBuilder in(NamedSet set, PacketField... fields) {
    load(set, fields);
    return append(new Expression.Lookup(set.name(), Optional.empty(), NFT_REG_1, false));
  }

  /** {@code iifname . ip saddr != @set}: matches packets whose fields are no element of a set. */
  public RuleBuilder notIn(NamedSet set, PacketField... fields) {
    load(set, fields);
    return append(new Expression.Lookup(set.name(), Optional.empty(), NFT_REG_1, true));
  }

  /**
   * {@code iifname . ip saddr vmap @map}: continues with the verdict of the element of a map that
   * the fields are; with the next rule if there is none.
   */
  public RuleBuilder verdictOf(NamedSet map, PacketField... fields) {
    load(map, fields);
    return append(new Expression.VerdictLookup(map.name(), NFT_REG_1));
  }

  private void load(NamedSet set, PacketField... fields) {
    if (!Stream.of(fields).map(PacketField::type).toList().equals(set.key())) {
      throw new IllegalArgumentException(
          "set " + set.name() + " has keys " + set.key() + ", not " + Arrays.toString(fields));
    }
    for (PacketField field : fields) {
      require(field.requirement());
    }
    PacketField.loadAll(fields).forEach(this::append);
  }

  /** {@code meta l4proto}: matches packets of a transport protocol. */
  public RuleBuilder protocol(int protocol) {
    if (transportProtocol != protocol) {
      transportProtocol = protocol;
      append(new Meta(Meta.TRANSPORT_PROTOCOL, NFT_REG_1));
      compare(Compare.EQUAL, Bytes.of((byte) protocol));
    }
    return this;
  }

  /** {@code tcp dport}: matches packets to a port. */
  public RuleBuilder destinationPort(int protocol, int port) {
    return protocol(protocol).loadPort(false).compare(Compare.EQUAL, Bytes.be16(port));
  }

  /** {@code udp sport 67 udp dport 68}: matches packets between two ports. */
  public RuleBuilder ports(int protocol, int source, int destination) {
    protocol(protocol).append(new Payload(Payload.TRANSPORT_HEADER, 0, 4, NFT_REG_1));
    return compare(Compare.EQUAL, Bytes.be32(source << 16 | destination));
  }

  /** {@code icmpv6 type}: matches messages of one of several types. */
  public RuleBuilder icmpv6Type(int... types) {
    if (family == TableFamily.BRIDGE && networkProtocol != PacketField.Requirement.IPV6) {
      etherType(Compare.EQUAL, ETHER_IPV6); // as nft does
      networkProtocol = PacketField.Requirement.IPV6;
    }
    networkProtocol(IpFamily.IPV6).protocol(ICMPV6);
    append(new Payload(Payload.TRANSPORT_HEADER, 0, 1, NFT_REG_1));
    return in(
        Compare.EQUAL,
        AnonymousSet.Type.ICMPV6_TYPE,
        IntStream.of(types).mapToObj(type -> Bytes.of((byte) type)));
  }

  /** {@code arp saddr ip}: matches ARP packets that state an address of their sender. */
  public RuleBuilder arpSender(int operator, Inet4Address address) {
    require(PacketField.Requirement.ARP).append(PacketField.ARP_SENDER.load(NFT_REG_1));
    return compare(operator, Bytes.of(address.getAddress()));
  }

  /**
   * Matches messages of neighbour discovery about an address of a network.
   *
   * @param prefix the length of the network's prefix, in bits, of which there are not more than 16
   */
  public RuleBuilder neighborTarget(InetAddress network, int prefix) {
    networkProtocol(IpFamily.IPV6);
    append(new Payload(Payload.TRANSPORT_HEADER, 8, 2, NFT_REG_1));
    Bytes mask = mask(2, prefix);
    append(new Expression.Bitwise(NFT_REG_1, NFT_REG_1, mask, Bytes.repeated(2, 0)));
    return compare(Compare.EQUAL, Bytes.of(network.getAddress()).first(2));
  }

  /** Loads the source port, or else the destination port. */
  RuleBuilder loadPort(boolean source) {
    return append(new Payload(Payload.TRANSPORT_HEADER, source ? 0 : 2, 2, NFT_REG_1));
  }

  /**
   * {@code iifname}: matches packets that came in by an interface.
   *
   * @param operator {@link Compare#EQUAL}, or {@link Compare#NOT_EQUAL} for any other interface
   */
  public RuleBuilder inputInterface(int operator, String name) {
    append(new Meta(Meta.INPUT_NAME, NFT_REG_1));
    return compare(operator, interfaceName(name));
  }

  /**
   * {@code oifname}: matches packets that leave by an interface.
   *
   * @param operator {@link Compare#EQUAL}, or {@link Compare#NOT_EQUAL} for any other interface
   */
  public RuleBuilder outputInterface(int operator, String name) {
    append(new Meta(Meta.OUTPUT_NAME, NFT_REG_1));
    return compare(operator, interfaceName(name));
  }

  /** {@code meta iifkind}: matches packets that came in by an interface of a kind. */
  public RuleBuilder inputKind(int operator, String kind) {
    append(new Meta(Meta.INPUT_KIND, NFT_REG_1));
    return compare(operator, Bytes.padded(kind, IFNAMSIZ));
  }

  /** {@code meta oifkind}: matches packets that leave by an interface of a kind. */
  public RuleBuilder outputKind(int operator, String kind) {
    append(new Meta(Meta.OUTPUT_KIND, NFT_REG_1));
    return compare(operator, Bytes.padded(kind, IFNAMSIZ));
  }

  /**
   * Returns an interface name as registers hold it, padded with zeros.
   *
   * @throws IllegalArgumentException if it has no or too many bytes; the message continues a
   *     sentence: "have interface …"
   */
  public static Bytes interfaceName(String name) {
    if (name.isEmpty() || name.getBytes(UTF_8).length >= IFNAMSIZ) {
      throw new IllegalArgumentException(
          "have interface \"" + name + "\"; a name has 1 to " + (IFNAMSIZ - 1) + " bytes");
    }
    return Bytes.padded(name, IFNAMSIZ);
  }

  /** {@code ether saddr}: matches frames from a hardware address of six bytes. */
  public RuleBuilder etherSource(byte[] mac) {
    append(new Payload(Payload.LINK_HEADER, 6, 6, NFT_REG_1));
    return compare(Compare.EQUAL, Bytes.of(mac));
  }

  /**
   * {@code ct state}: matches packets whose connection is in one of several states.
   *
   * @param states bits of {@link Expression.Connection}
   */
  public RuleBuilder connectionState(int states) {
    append(new Expression.Connection(Expression.Connection.STATE, NFT_REG_1));
    Bytes mask = hostOrder(states);
    append(new Expression.Bitwise(NFT_REG_1, NFT_REG_1, mask, hostOrder(0)));
    return compare(Compare.NOT_EQUAL, hostOrder(0));
  }

  /** {@code ct direction reply}: matches packets to the side that began the connection. */
  public RuleBuilder isReply() {
    append(new Expression.Connection(Expression.Connection.DIRECTION, NFT_REG_1));
    return compare(Compare.EQUAL, Bytes.of((byte) 1));
  }

  /** {@code counter}: counts the packets that match what precedes it. */
  public RuleBuilder counter() {
    return append(new Expression.Counter());
  }

  /** {@code limit name}: matches packets above a named limit. */
  public RuleBuilder above(String limit) {
    return append(new Expression.ObjectReference(Expression.ObjectReference.LIMIT, limit));
  }

  /**
   * {@code meta mark and}: matches packets whose mark has a value in the bits of a mask.
   *
   * @param operator {@link Compare#EQUAL} or {@link Compare#NOT_EQUAL}
   * @param mask the bits to compare, -1 for all
   */
  public RuleBuilder mark(int operator, int mask, int value) {
    append(new Meta(Meta.MARK, NFT_REG_1));
    if (mask != -1) {
      append(new Expression.Bitwise(NFT_REG_1, NFT_REG_1, hostOrder(mask), hostOrder(0)));
    }
    return compare(operator, hostOrder(value));
  }

  /** Returns a number of four bytes in the byte order of the machine. */
  static Bytes hostOrder(int number) {
    var buffer = ByteBuffer.allocate(4).order(ByteOrder.nativeOrder());
    return Bytes.of(buffer.putInt(number).array());
  }

  /** {@code fib daddr type local}: matches packets to an address of the host itself. */
  public RuleBuilder toLocalAddress() {
    int flags = Expression.Fib.DESTINATION_ADDRESS;
    append(new Expression.Fib(Expression.Fib.ADDRESS_TYPE, flags, NFT_REG_1));
    return compare(Compare.EQUAL, hostOrder(RTN_LOCAL));
  }

  /** {@code dnat to}: translates the destination to an address and port. */
  public RuleBuilder destinationNat(InetAddress address, int port) {
    int nfproto = TableFamily.of(address).number();
    append(new Expression.Immediate(NFT_REG_1, Bytes.of(address.getAddress())));
    append(new Expression.Immediate(NFT_REG_2, Bytes.be16(port)));
    return append(new Expression.Nat(Expression.Nat.DESTINATION, nfproto, NFT_REG_1, NFT_REG_2, 0));
  }

  /** {@code masquerade}: translates the source to the address of the outgoing interface. */
  public RuleBuilder masquerade() {
    return append(new Expression.Masq(0));
  }

  /** Returns the transport protocol that a rule matches; empty if it matches any. */
  static OptionalInt protocol(Rule rule) {
    List<Expression> all = rule.expressions();
    for (int i = 0; i + 1 < all.size(); i++) {
      if (all.get(i) instanceof Meta(int key, int register)
          && key == Meta.TRANSPORT_PROTOCOL
          && all.get(i + 1) instanceof Compare(int operator, int compared, Bytes data)
          && operator == Compare.EQUAL
          && compared == register
          && data.length() == 1) {
        return OptionalInt.of(Byte.toUnsignedInt(data.toArray()[0]));
      }
    }
    return OptionalInt.empty();
  }
}
