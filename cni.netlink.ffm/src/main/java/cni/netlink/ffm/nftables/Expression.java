// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.ExpressionAttributes.*;
import static cni.netlink.ffm.nftables.NftablesConstants.NFTA_DATA_VALUE;
import static cni.netlink.ffm.nftables.NftablesConstants.NFTA_DATA_VERDICT;

import cni.netlink.ffm.NetlinkRequest;
import java.util.Optional;
import java.util.Set;

/**
 * An expression of nf_tables, one step of a rule. Registers are numbered as in
 * linux/netfilter/nf_tables.h: 1 to 4 have 16 bytes each. Expressions with equal components are
 * equal.
 */
public sealed interface Expression {
  /** Returns the kernel's name of the kind of expression (NFTA_EXPR_NAME). */
  String kind();

  /** Appends the attributes of the expression (NFTA_EXPR_DATA). */
  void write(NetlinkRequest request);

  /** Loads a property of the packet that is not in its bytes; key is NFT_META_*. */
  record Meta(int key, int register) implements Expression {
    public static final int PROTOCOL = 1;
    public static final int MARK = 3;
    public static final int INPUT_NAME = 6;
    public static final int OUTPUT_NAME = 7;
    public static final int NETWORK_PROTOCOL = 15;
    public static final int TRANSPORT_PROTOCOL = 16;
    public static final int INPUT_KIND = 26;
    public static final int OUTPUT_KIND = 27;

    @Override
    public String kind() {
      return "meta";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.be32(NFTA_META_KEY, key).be32(NFTA_META_DREG, register);
    }
  }

  /**
   * Makes the kernel report the further path of the packet through the rules, {@link TraceSocket},
   * if the register is not 0 ({@code meta nftrace set}).
   */
  record TraceFlag(int register) implements Expression {
    static final int KEY = 12; // NFT_META_NFTRACE

    @Override
    public String kind() {
      return "meta";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.be32(NFTA_META_KEY, KEY).be32(NFTA_META_SREG, register);
    }
  }

  /** Loads bytes of the packet; base is NFT_PAYLOAD_*, offset and length are in bytes. */
  record Payload(int base, int offset, int length, int register) implements Expression {
    public static final int LINK_HEADER = 0;
    public static final int NETWORK_HEADER = 1;
    public static final int TRANSPORT_HEADER = 2;

    @Override
    public String kind() {
      return "payload";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.be32(NFTA_PAYLOAD_DREG, register).be32(NFTA_PAYLOAD_BASE, base);
      request.be32(NFTA_PAYLOAD_OFFSET, offset).be32(NFTA_PAYLOAD_LEN, length);
    }
  }

  /** Ends the rule unless a register compares with the data as given; operator is NFT_CMP_*. */
  record Compare(int operator, int register, Bytes data) implements Expression {
    public static final int EQUAL = 0;
    public static final int NOT_EQUAL = 1;
    public static final int LESS_OR_EQUAL = 3;
    public static final int GREATER_OR_EQUAL = 5;

    @Override
    public String kind() {
      return "cmp";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.be32(NFTA_CMP_SREG, register).be32(NFTA_CMP_OP, operator);
      request.nest(NFTA_CMP_DATA, value -> value.bytes(NFTA_DATA_VALUE, data.toArray()));
    }
  }

  /** Computes {@code source & mask ^ xor}; source and destination are registers. */
  record Bitwise(int source, int destination, Bytes mask, Bytes xor) implements Expression {
    @Override
    public String kind() {
      return "bitwise";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.be32(NFTA_BITWISE_SREG, source).be32(NFTA_BITWISE_DREG, destination);
      request.be32(NFTA_BITWISE_LEN, mask.length());
      request.nest(NFTA_BITWISE_MASK, value -> value.bytes(NFTA_DATA_VALUE, mask.toArray()));
      request.nest(NFTA_BITWISE_XOR, value -> value.bytes(NFTA_DATA_VALUE, xor.toArray()));
    }
  }

  /** Loads a constant. */
  record Immediate(int register, Bytes data) implements Expression {
    @Override
    public String kind() {
      return "immediate";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.be32(NFTA_IMMEDIATE_DREG, register);
      request.nest(NFTA_IMMEDIATE_DATA, value -> value.bytes(NFTA_DATA_VALUE, data.toArray()));
    }
  }

  /** Ends the rule with a verdict; chain is the target of a jump or goto, otherwise empty. */
  record Verdict(int code, String chain) implements Expression {
    public static final Verdict ACCEPT = new Verdict(NftablesConstants.NF_ACCEPT, "");
    public static final Verdict DROP = new Verdict(NftablesConstants.NF_DROP, "");
    public static final Verdict RETURN = new Verdict(NftablesConstants.NFT_RETURN, "");

    /** Returns a jump to a chain of the same table, which returns if that has no verdict. */
    public static Verdict jump(String chain) {
      return new Verdict(NftablesConstants.NFT_JUMP, chain);
    }

    /** Returns a goto to a chain of the same table, which does not return. */
    public static Verdict goTo(String chain) {
      return new Verdict(NftablesConstants.NFT_GOTO, chain);
    }

    @Override
    public String kind() {
      return "immediate";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.be32(NFTA_IMMEDIATE_DREG, NftablesConstants.NFT_REG_VERDICT);
      request.nest(NFTA_IMMEDIATE_DATA, value -> value.nest(NFTA_DATA_VERDICT, this::writeVerdict));
    }

    void writeVerdict(NetlinkRequest request) {
      request.be32(NftablesConstants.NFTA_VERDICT_CODE, code);
      if (!chain.isEmpty()) {
        request.string(NftablesConstants.NFTA_VERDICT_CHAIN, chain);
      }
    }
  }

  /** Counts packets and bytes. The counts are not part of the expression. */
  record Counter() implements Expression {
    @Override
    public String kind() {
      return "counter";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.be64(NFTA_COUNTER_BYTES, 0).be64(NFTA_COUNTER_PACKETS, 0);
    }
  }

  /** Looks up the routing tables; result is NFT_FIB_RESULT_*, flags NFTA_FIB_F_*. */
  record Fib(int result, int flags, int register) implements Expression {
    public static final int ADDRESS_TYPE = 3;
    public static final int DESTINATION_ADDRESS = 2;

    @Override
    public String kind() {
      return "fib";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.be32(NFTA_FIB_DREG, register).be32(NFTA_FIB_RESULT, result);
      request.be32(NFTA_FIB_FLAGS, flags);
    }
  }

  /** Loads a property of the packet's connection; key is NFT_CT_*. */
  record Connection(int key, int register) implements Expression {
    public static final int STATE = 0;
    public static final int DIRECTION = 1;

    // bits of a state, NF_CT_STATE_BIT of linux/netfilter/nf_conntrack_common.h
    public static final int ESTABLISHED = 2;
    public static final int RELATED = 4;
    public static final int NEW = 8;

    @Override
    public String kind() {
      return "ct";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.be32(NFTA_CT_DREG, register).be32(NFTA_CT_KEY, key);
    }
  }

  /**
   * Ends the rule if a register is not in a set or, if inverted, if it is. The content of an
   * anonymous set is present in a rule to be added; in a rule that was listed only the name is
   * known. A named set has no content here.
   */
  record Lookup(String set, Optional<AnonymousSet> content, int register, boolean inverted)
      implements Expression {
    /** Returns a lookup in a set that belongs to the rule. */
    static Lookup ofSet(AnonymousSet content, int register, boolean inverted) {
      return new Lookup(AnonymousSet.NAME_TEMPLATE, Optional.of(content), register, inverted);
    }

    /**
     * Returns a lookup in a set of the same type; its elements keep the order that this one has.
     */
    Lookup withElements(Set<AnonymousSet.Element> elements) {
      return ofSet(content.orElseThrow().withElements(elements), register, inverted);
    }

    /** Returns whether the set belongs to the rule, rather than to the table. */
    boolean isAnonymous() {
      return content.isPresent() || set.startsWith(AnonymousSet.NAME_PREFIX);
    }

    @Override
    public String kind() {
      return "lookup";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.string(NFTA_LOOKUP_SET, set).be32(NFTA_LOOKUP_SREG, register);
      request.be32(NFTA_LOOKUP_FLAGS, inverted ? 1 : 0);
    }
  }

  /** Looks up a register in a named map and continues with the verdict of the element, if any. */
  record VerdictLookup(String map, int register) implements Expression {
    @Override
    public String kind() {
      return "lookup";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.string(NFTA_LOOKUP_SET, map).be32(NFTA_LOOKUP_SREG, register);
      request.be32(NFTA_LOOKUP_DREG, NftablesConstants.NFT_REG_VERDICT);
    }
  }

  /** Evaluates a named object of the table, which rules share; type is NFT_OBJECT_*. */
  record ObjectReference(int type, String name) implements Expression {
    public static final int LIMIT = 4;

    @Override
    public String kind() {
      return "objref";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.be32(NFTA_OBJREF_IMM_TYPE, type).string(NFTA_OBJREF_IMM_NAME, name);
    }
  }

  /** Translates the source address to that of the outgoing interface; flags are NF_NAT_RANGE_*. */
  record Masq(int flags) implements Expression {
    @Override
    public String kind() {
      return "masq";
    }

    @Override
    public void write(NetlinkRequest request) {
      if (flags != 0) {
        request.be32(NFTA_MASQ_FLAGS, flags);
      }
    }
  }

  /**
   * Translates an address, and the port unless its register is 0. The options are NF_NAT_RANGE_*
   * except MAP_IPS and PROTO_SPECIFIED, which follow from the registers.
   */
  record Nat(int type, int family, int addressRegister, int portRegister, int options)
      implements Expression {
    public static final int SOURCE = 0;
    public static final int DESTINATION = 1;
    static final int MAP_IPS = 1;
    static final int PROTO_SPECIFIED = 2;

    @Override
    public String kind() {
      return "nat";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.be32(NFTA_NAT_TYPE, type).be32(NFTA_NAT_FAMILY, family);
      request.be32(NFTA_NAT_REG_ADDR_MIN, addressRegister);
      if (portRegister != 0) {
        request.be32(NFTA_NAT_REG_PROTO_MIN, portRegister);
      }
      int flags = options | (portRegister != 0 ? PROTO_SPECIFIED : 0);
      if (flags != 0) {
        request.be32(NFTA_NAT_FLAGS, flags);
      }
    }
  }

  /** Redirects the packet to the host itself, to the port in the register unless that is 0. */
  record Redirect(int portRegister) implements Expression {
    @Override
    public String kind() {
      return "redir";
    }

    @Override
    public void write(NetlinkRequest request) {
      if (portRegister != 0) {
        request.be32(NFTA_REDIR_REG_PROTO_MIN, portRegister);
        request.be32(NFTA_REDIR_FLAGS, Nat.PROTO_SPECIFIED);
      }
    }
  }

  /** Drops the packet and notifies its sender; type is NFT_REJECT_*, code that of ICMP. */
  record Reject(int type, int code) implements Expression {
    public static final int TCP_RESET = 1;

    @Override
    public String kind() {
      return "reject";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.be32(NFTA_REJECT_TYPE, type);
      if (type != TCP_RESET) {
        request.u8(NFTA_REJECT_ICMP_CODE, code);
      }
    }
  }

  /** Ends the rule if the rate of packets exceeds a limit or, if inverted, if it does not. */
  record Limit(long packets, long seconds, int burst, boolean inverted) implements Expression {
    @Override
    public String kind() {
      return "limit";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.be64(NFTA_LIMIT_RATE, packets).be64(NFTA_LIMIT_UNIT, seconds);
      request.be32(NFTA_LIMIT_BURST, burst).be32(NFTA_LIMIT_TYPE, 0);
      request.be32(NFTA_LIMIT_FLAGS, inverted ? 1 : 0);
    }
  }

  /** Logs the packet in the kernel's log, after a prefix. */
  record PacketLog(String prefix) implements Expression {
    @Override
    public String kind() {
      return "log";
    }

    @Override
    public void write(NetlinkRequest request) {
      if (!prefix.isEmpty()) {
        request.string(NFTA_LOG_PREFIX, prefix);
      }
    }
  }

  /** A match of iptables(8); info is its structure in linux/netfilter/xt_*.h. */
  record XtMatch(String name, int revision, Bytes info) implements Expression {
    @Override
    public String kind() {
      return "match";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.string(NFTA_MATCH_NAME, name).be32(NFTA_MATCH_REV, revision);
      request.bytes(NFTA_MATCH_INFO, info.toArray());
    }
  }

  /** A target of iptables(8); info is its structure in linux/netfilter/xt_*.h. */
  record XtTarget(String name, int revision, Bytes info) implements Expression {
    @Override
    public String kind() {
      return "target";
    }

    @Override
    public void write(NetlinkRequest request) {
      request.string(NFTA_TARGET_NAME, name).be32(NFTA_TARGET_REV, revision);
      request.bytes(NFTA_TARGET_INFO, info.toArray());
    }
  }

  /**
   * An expression of a listed rule that cannot be represented: its kind is not supported, or it has
   * an attribute that is not. Equal to no other.
   */
  final class Unparsed implements Expression {
    private final String kind;

    Unparsed(String kind) {
      this.kind = kind;
    }

    @Override
    public String kind() {
      return kind;
    }

    @Override
    public void write(NetlinkRequest request) {
      throw new UnsupportedOperationException("an expression of kind " + kind);
    }

    @Override
    public String toString() {
      return kind;
    }
  }
}
