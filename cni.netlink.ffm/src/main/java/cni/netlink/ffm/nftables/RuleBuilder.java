package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.NftablesConstants.NFT_REG_1;
import static cni.netlink.ffm.nftables.NftablesConstants.NFT_REG_2;
import static java.nio.charset.StandardCharsets.UTF_8;

import cni.netlink.ffm.nftables.Expression.Compare;
import cni.netlink.ffm.nftables.Expression.Meta;
import cni.netlink.ffm.nftables.Expression.Payload;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/**
 * Makes rules, condition by condition, of the very expressions that nft(8) makes of its words, so
 * that nft shows them as if it had made them. {@link IptablesRuleBuilder} does the same for
 * iptables.
 */
public final class RuleBuilder {
  public static final int TCP = 6;
  public static final int UDP = 17;
  public static final int SCTP = 132;

  /** IFNAMSIZ of linux/if.h. */
  private static final int IFNAMSIZ = 16;

  /** RTN_LOCAL of linux/rtnetlink.h. */
  private static final int RTN_LOCAL = 2;

  private final TableFamily family;
  private final List<Expression> expressions = new ArrayList<>();
  private int networkProtocol;
  private int transportProtocol;

  private RuleBuilder(TableFamily family) {
    this.family = family;
  }

  /** A rule for a table of that family. */
  public static RuleBuilder forFamily(TableFamily family) {
    return new RuleBuilder(family);
  }

  /** The rule. */
  public Rule build() {
    return new Rule(expressions, Userdata.NONE);
  }

  /** Appends an expression as it is. */
  public RuleBuilder append(Expression expression) {
    expressions.add(expression);
    return this;
  }

  private RuleBuilder compare(int operator, Bytes data) {
    return append(new Compare(operator, NFT_REG_1, data));
  }

  /** {@code ip saddr}: packets from a network, or with NOT_EQUAL from any other. */
  public RuleBuilder source(int operator, InetAddress network, int prefix) {
    return address(operator, network, prefix, true);
  }

  /** {@code ip daddr}: packets to a network, or with NOT_EQUAL to any other. */
  public RuleBuilder destination(int operator, InetAddress network, int prefix) {
    return address(operator, network, prefix, false);
  }

  private RuleBuilder address(int operator, InetAddress network, int prefix, boolean source) {
    Bytes address = Bytes.of(network.getAddress());
    // Whole bytes are loaded alone; only a prefix that ends within one is masked.
    int length = prefix > 0 && prefix % 8 == 0 ? prefix / 8 : address.length();
    loadAddress(network instanceof Inet4Address, length, source);
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

  /** Loads the source or destination address, or so many bytes of it. */
  RuleBuilder loadAddress(boolean v4, int length, boolean source) {
    requireNetworkProtocol(v4 ? TableFamily.IP : TableFamily.IP6);
    int offset = v4 ? (source ? 12 : 16) : source ? 8 : 24;
    return append(new Payload(Payload.NETWORK_HEADER, offset, length, NFT_REG_1));
  }

  /** In a table for both families, an address tells which one is meant. */
  private void requireNetworkProtocol(TableFamily wanted) {
    if (family == TableFamily.INET && networkProtocol != wanted.number()) {
      networkProtocol = wanted.number();
      append(new Meta(Meta.NETWORK_PROTOCOL, NFT_REG_1));
      compare(Compare.EQUAL, Bytes.of((byte) wanted.number()));
    }
  }

  /** {@code meta l4proto}: packets of a transport protocol. */
  public RuleBuilder protocol(int protocol) {
    if (transportProtocol != protocol) {
      transportProtocol = protocol;
      append(new Meta(Meta.TRANSPORT_PROTOCOL, NFT_REG_1));
      compare(Compare.EQUAL, Bytes.of((byte) protocol));
    }
    return this;
  }

  /** {@code tcp dport}: packets to a port. */
  public RuleBuilder destinationPort(int protocol, int port) {
    return protocol(protocol).loadPort(false).compare(Compare.EQUAL, Bytes.be16(port));
  }

  /** Loads the source or destination port. */
  RuleBuilder loadPort(boolean source) {
    return append(new Payload(Payload.TRANSPORT_HEADER, source ? 0 : 2, 2, NFT_REG_1));
  }

  /** {@code iifname}: packets that came in by an interface, or with NOT_EQUAL by another. */
  public RuleBuilder inputInterface(int operator, String name) {
    append(new Meta(Meta.INPUT_NAME, NFT_REG_1));
    return compare(operator, interfaceName(name));
  }

  /** {@code oifname}: packets that leave by an interface, or with NOT_EQUAL by another. */
  public RuleBuilder outputInterface(int operator, String name) {
    append(new Meta(Meta.OUTPUT_NAME, NFT_REG_1));
    return compare(operator, interfaceName(name));
  }

  /** A name as it is compared: with zeros up to the length that names can have. */
  static Bytes interfaceName(String name) {
    if (name.isEmpty() || name.getBytes(UTF_8).length >= IFNAMSIZ) {
      throw new IllegalArgumentException(
          "have interface \"" + name + "\"; a name has 1 to " + (IFNAMSIZ - 1) + " bytes");
    }
    return Bytes.padded(name, IFNAMSIZ);
  }

  /** {@code ether saddr}: frames from a hardware address of six bytes. */
  public RuleBuilder etherSource(byte[] mac) {
    append(new Payload(Payload.LINK_HEADER, 6, 6, NFT_REG_1));
    return compare(Compare.EQUAL, Bytes.of(mac));
  }

  /** {@code ct state}: packets whose connection is in one of the states. */
  public RuleBuilder connectionState(int states) {
    append(new Expression.Connection(Expression.Connection.STATE, NFT_REG_1));
    Bytes mask = hostOrder(states);
    append(new Expression.Bitwise(NFT_REG_1, NFT_REG_1, mask, hostOrder(0)));
    return compare(Compare.NOT_EQUAL, hostOrder(0));
  }

  /** {@code meta mark and}: packets whose mark has that value in the bits of the mask. */
  public RuleBuilder mark(int operator, int mask, int value) {
    append(new Meta(Meta.MARK, NFT_REG_1));
    if (mask != -1) {
      append(new Expression.Bitwise(NFT_REG_1, NFT_REG_1, hostOrder(mask), hostOrder(0)));
    }
    return compare(operator, hostOrder(value));
  }

  static Bytes hostOrder(int number) {
    var buffer = ByteBuffer.allocate(4).order(ByteOrder.nativeOrder());
    return Bytes.of(buffer.putInt(number).array());
  }

  /** {@code fib daddr type local}: packets to an address of the host itself. */
  public RuleBuilder toLocalAddress() {
    int flags = Expression.Fib.DESTINATION_ADDRESS;
    append(new Expression.Fib(Expression.Fib.ADDRESS_TYPE, flags, NFT_REG_1));
    return compare(Compare.EQUAL, hostOrder(RTN_LOCAL));
  }

  /** {@code dnat to}: sends the packets to that address and port. */
  public RuleBuilder destinationNat(InetAddress address, int port) {
    int nfproto = (address instanceof Inet4Address ? TableFamily.IP : TableFamily.IP6).number();
    append(new Expression.Immediate(NFT_REG_1, Bytes.of(address.getAddress())));
    append(new Expression.Immediate(NFT_REG_2, Bytes.be16(port)));
    return append(new Expression.Nat(Expression.Nat.DESTINATION, nfproto, NFT_REG_1, NFT_REG_2, 0));
  }

  /** {@code masquerade}. */
  public RuleBuilder masquerade() {
    return append(new Expression.Masq(0));
  }

  /** The transport protocol that a rule is for, if it is for one. */
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
