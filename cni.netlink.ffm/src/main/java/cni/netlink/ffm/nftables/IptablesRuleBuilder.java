// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.NftablesConstants.NFT_REG_1;

import cni.netlink.ffm.nftables.Expression.Compare;
import cni.netlink.ffm.nftables.Expression.Meta;
import cni.netlink.ffm.nftables.Expression.XtMatch;
import cni.netlink.ffm.nftables.Expression.XtTarget;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Builds rules of the same expressions that the nf_tables variant of iptables(8), version 1.8.9,
 * generates from its options, so that {@code iptables -S} lists them and {@code iptables -D} finds
 * them. The conditions have to be appended in the order of iptables: interfaces, protocol,
 * addresses, matches. The methods that return a rule append the target.
 */
public final class IptablesRuleBuilder {
  /** XT_ALIGN of linux/netfilter/x_tables.h. */
  private static final int ALIGNMENT = 8;

  /** XT_MAX_COMMENT_LEN of linux/netfilter/xt_comment.h, with the terminating zero. */
  private static final int COMMENT_LENGTH = 256;

  /** The length of the longest comment, in bytes. */
  public static final int MAX_COMMENT_LENGTH = COMMENT_LENGTH - 1;

  /** XT_ADDRTYPE_LOCAL of linux/netfilter/xt_addrtype.h. */
  private static final short ADDRESS_TYPE_LOCAL = 1 << 2;

  /**
   * The length of the longest name of a chain: XT_EXTENSION_MAXNAMELEN of
   * linux/netfilter/x_tables.h, without the terminating zero.
   */
  public static final int MAX_CHAIN_NAME_LENGTH = 28;

  /** The greatest number of ports of a multiport match, XT_MULTI_PORTS. */
  public static final int MAX_PORTS = 15;

  /** The size of struct xt_multiport_v1: flags, count, 15 ports, 15 range flags, inversion. */
  private static final int MULTIPORT_LENGTH = 48;

  private final TableFamily family;
  private final RuleBuilder builder;

  private IptablesRuleBuilder(TableFamily family) {
    this.family = family;
    this.builder = RuleBuilder.forFamily(family);
  }

  /**
   * Returns a builder of a rule for a table of a family.
   *
   * @param family {@link TableFamily#IP} or {@link TableFamily#IP6}
   */
  public static IptablesRuleBuilder forFamily(TableFamily family) {
    return new IptablesRuleBuilder(family);
  }

  /** {@code -i}: matches packets that came in by an interface, or with NOT_EQUAL by another. */
  public IptablesRuleBuilder inputInterface(int operator, String name) {
    return interfaceName(Meta.INPUT_NAME, operator, name);
  }

  /** {@code -o}: matches packets that leave by an interface, or with NOT_EQUAL by another. */
  public IptablesRuleBuilder outputInterface(int operator, String name) {
    return interfaceName(Meta.OUTPUT_NAME, operator, name);
  }

  /**
   * {@code -i PREFIX+}: matches packets that came in by an interface whose name starts with a
   * prefix, or with NOT_EQUAL by another.
   */
  public IptablesRuleBuilder inputInterfacePrefix(int operator, String prefix) {
    Bytes data = Bytes.of(prefix.getBytes(StandardCharsets.UTF_8));
    builder
        .append(new Meta(Meta.INPUT_NAME, NFT_REG_1))
        .append(new Compare(operator, NFT_REG_1, data));
    return this;
  }

  private IptablesRuleBuilder interfaceName(int key, int operator, String name) {
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    Bytes data = RuleBuilder.interfaceName(name).first(bytes.length + 1); // with a terminating zero
    builder.append(new Meta(key, NFT_REG_1)).append(new Compare(operator, NFT_REG_1, data));
    return this;
  }

  /** {@code -p}: matches packets of a transport protocol. */
  public IptablesRuleBuilder protocol(int protocol) {
    builder.protocol(protocol);
    return this;
  }

  /** {@code -s}: matches packets from a network, or with NOT_EQUAL from any other. */
  public IptablesRuleBuilder source(int operator, InetAddress network, int prefix) {
    if (prefix > 0 || operator != Compare.EQUAL) {
      builder.source(operator, network, prefix);
    }
    return this;
  }

  /** {@code -d}: matches packets to a network, or with NOT_EQUAL to any other. */
  public IptablesRuleBuilder destination(int operator, InetAddress network, int prefix) {
    if (prefix > 0 || operator != Compare.EQUAL) {
      builder.destination(operator, network, prefix);
    }
    return this;
  }

  /** {@code --dport}: matches packets to a port. iptables matches SCTP with {@code -m sctp}. */
  public IptablesRuleBuilder destinationPort(int protocol, int port) {
    if (protocol != RuleBuilder.SCTP) {
      builder.destinationPort(protocol, port);
      return this;
    }
    // struct xt_sctp_info: dpts u16[2], spts u16[2], chunkmap u32[64], chunk_match_type u32, then
    // four times type u8, flag u8 and mask u8, flag_count s32, flags u32, invflags u32
    ByteBuffer info = info(292);
    info.putShort((short) port).putShort((short) port);
    for (int at = 268; at < 280; at += 3) {
      info.put(at, (byte) -1);
    }
    info.putInt(284, 2); // XT_SCTP_DEST_PORTS
    return match("sctp", 0, info);
  }

  /** {@code -m comment}: adds a comment, truncated to 255 bytes. */
  public IptablesRuleBuilder comment(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    ByteBuffer info = info(COMMENT_LENGTH);
    info.put(bytes, 0, Math.min(bytes.length, MAX_COMMENT_LENGTH));
    return match("comment", 0, info);
  }

  /**
   * {@code -m conntrack --ctstate}: matches packets whose connection is in one of several states
   * (struct xt_conntrack_mtinfo3).
   *
   * @param states bits of {@link Expression.Connection}
   */
  public IptablesRuleBuilder connectionState(int states) {
    ByteBuffer info = info(164);
    info.putShort(146, (short) 1); // match_flags: XT_CONNTRACK_STATE
    info.putShort(150, (short) states); // the bits are those of nf_tables
    return match("conntrack", 3, info);
  }

  /**
   * {@code -m addrtype --dst-type LOCAL}: matches packets to an address of the host itself (struct
   * xt_addrtype_info_v1).
   */
  public IptablesRuleBuilder toLocalAddress() {
    builder.append(localAddressMatch());
    return this;
  }

  private static XtMatch localAddressMatch() {
    ByteBuffer info = info(8);
    info.putShort(2, ADDRESS_TYPE_LOCAL);
    return new XtMatch("addrtype", 1, Bytes.of(info));
  }

  /** Returns whether a match is that of {@link #toLocalAddress}. */
  static boolean isToLocalAddress(XtMatch match) {
    return match.equals(localAddressMatch());
  }

  /**
   * {@code -m multiport --destination-ports}: matches packets to one of several ports (struct
   * xt_multiport_v1).
   *
   * @param ports at most {@link #MAX_PORTS}
   */
  public IptablesRuleBuilder destinationPorts(List<Integer> ports) {
    ByteBuffer info = info(MULTIPORT_LENGTH);
    info.put((byte) 1).put((byte) ports.size()); // XT_MULTIPORT_DESTINATION
    ports.forEach(port -> info.putShort(port.shortValue()));
    return match("multiport", 1, info);
  }

  /**
   * Returns false if a rule certainly has no match of several ports with this one. Searches the
   * bytes of a listed rule without reading its expressions.
   */
  public static boolean mightMatchPort(Rule rule, int port) {
    return rule.mightMatch(Bytes.be16(port), Short.BYTES)
        || rule.mightMatch(Bytes.be16(Short.reverseBytes((short) port)), Short.BYTES);
  }

  /**
   * Returns the ports of a rule's {@link #destinationPorts}; empty if it has none, or if they are
   * not a plain list.
   */
  public static Optional<Set<Integer>> destinationPortsOf(Rule rule) {
    for (Expression expression : rule.expressions()) {
      if (expression instanceof XtMatch(String name, int revision, Bytes info)
          && name.equals("multiport")) {
        return revision == 1 && info.length() == MULTIPORT_LENGTH
            ? destinationPorts(ByteBuffer.wrap(info.toArray()).order(ByteOrder.nativeOrder()))
            : Optional.empty();
      }
    }
    return Optional.empty();
  }

  private static Optional<Set<Integer>> destinationPorts(ByteBuffer info) {
    int count = info.get(1);
    boolean inverted = info.get(2 + 3 * MAX_PORTS) != 0;
    if (info.get(0) != 1 || count < 0 || count > MAX_PORTS || inverted) {
      return Optional.empty();
    }
    Set<Integer> ports = new HashSet<>();
    for (int i = 0; i < count; i++) {
      if (info.get(2 + 2 * MAX_PORTS + i) != 0) { // the start of a range
        return Optional.empty();
      }
      ports.add(Short.toUnsignedInt(info.getShort(2 + 2 * i)));
    }
    return Optional.of(ports);
  }

  /** {@code -m mark --mark value/mask}: matches packets whose mark has a value in some bits. */
  public IptablesRuleBuilder mark(int value, int mask) {
    builder.mark(Compare.EQUAL, mask, value);
    return this;
  }

  private IptablesRuleBuilder match(String name, int revision, ByteBuffer info) {
    builder.append(new XtMatch(name, revision, Bytes.of(info)));
    return this;
  }

  /** {@code -j}: returns the rule with a verdict. */
  public Rule verdict(Expression.Verdict verdict) {
    return builder.append(new Expression.Counter()).append(verdict).build();
  }

  /** {@code -j DNAT --to-destination}: returns the rule with a DNAT (struct nf_nat_range2). */
  public Rule destinationNat(InetAddress address, int port) {
    ByteBuffer info = info(44);
    info.putInt(Expression.Nat.MAP_IPS | Expression.Nat.PROTO_SPECIFIED);
    info.put(4, address.getAddress()).put(20, address.getAddress());
    for (int at = 36; at < 40; at += 2) {
      info.put(at, (byte) (port >>> 8)).put(at + 1, (byte) port);
    }
    return target("DNAT", 2, info);
  }

  /**
   * {@code -j MARK --set-xmark bits/bits}: returns the rule with a target that sets bits of the
   * packet's mark (struct xt_mark_tginfo2).
   */
  public Rule setMark(int bits) {
    return target("MARK", 2, info(8).putInt(bits).putInt(bits));
  }

  /**
   * {@code -j MASQUERADE}: returns the rule with a masquerade (struct
   * nf_nat_ipv4_multi_range_compat, or for IPv6 nf_nat_range).
   */
  public Rule masquerade() {
    return target("MASQUERADE", 0, family == TableFamily.IP ? info(20).putInt(1) : info(40));
  }

  private Rule target(String name, int revision, ByteBuffer info) {
    builder.append(new Expression.Counter());
    return builder.append(new XtTarget(name, revision, Bytes.of(info))).build();
  }

  /** Allocates the structure of a match or target, in the byte order of the machine. */
  private static ByteBuffer info(int length) {
    int aligned = (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return ByteBuffer.allocate(aligned).order(ByteOrder.nativeOrder());
  }

  /**
   * Returns the comment of a rule; empty if there is none. Depending on its version, iptables
   * writes a comment as a match or as user data.
   */
  public static Optional<String> commentOf(Rule rule) {
    for (Expression expression : rule.expressions()) {
      if (expression instanceof XtMatch(String name, int revision, Bytes info)
          && name.equals("comment")) {
        String text = new String(info.toArray(), StandardCharsets.UTF_8);
        int end = text.indexOf('\0');
        return Optional.of(end < 0 ? text : text.substring(0, end));
      }
    }
    return rule.userdata().comment();
  }
}
