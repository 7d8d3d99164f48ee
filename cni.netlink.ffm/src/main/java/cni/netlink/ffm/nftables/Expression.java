package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.NftablesConstants.NFTA_DATA_VALUE;
import static cni.netlink.ffm.nftables.NftablesConstants.NFTA_DATA_VERDICT;

import cni.netlink.ffm.NetlinkRequest;
import java.util.Optional;

/**
 * An expression of nf_tables. Registers are numbered as in linux/netfilter/nf_tables.h: 1 to 4 have
 * 16 bytes each. Two expressions are equal if they do the same.
 */
public sealed interface Expression {
  /** The kernel's name of its kind. */
  String kind();

  /** Appends the attributes that its kind has. */
  void write(NetlinkRequest message);

  /** Loads something that is known of the packet but not in it; key is NFT_META_*. */
  record Meta(int key, int register) implements Expression {
    public static final int MARK = 3;
    public static final int INPUT_NAME = 6;
    public static final int OUTPUT_NAME = 7;
    public static final int NETWORK_PROTOCOL = 15;
    public static final int TRANSPORT_PROTOCOL = 16;

    @Override
    public String kind() {
      return "meta";
    }

    @Override
    public void write(NetlinkRequest message) {
      message.be32(2, key).be32(1, register);
    }
  }

  /** Loads bytes of the packet. */
  record Payload(int base, int offset, int length, int register) implements Expression {
    public static final int LINK_HEADER = 0;
    public static final int NETWORK_HEADER = 1;
    public static final int TRANSPORT_HEADER = 2;

    @Override
    public String kind() {
      return "payload";
    }

    @Override
    public void write(NetlinkRequest message) {
      message.be32(1, register).be32(2, base).be32(3, offset).be32(4, length);
    }
  }

  /** Goes on only if a register compares so; operator is NFT_CMP_*. */
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
    public void write(NetlinkRequest message) {
      message
          .be32(1, register)
          .be32(2, operator)
          .nest(3, value -> value.bytes(NFTA_DATA_VALUE, data.toArray()));
    }
  }

  /** Keeps the bits of the mask, then turns those of the other. */
  record Bitwise(int source, int destination, Bytes mask, Bytes xor) implements Expression {
    @Override
    public String kind() {
      return "bitwise";
    }

    @Override
    public void write(NetlinkRequest message) {
      message
          .be32(1, source)
          .be32(2, destination)
          .be32(3, mask.length())
          .nest(4, value -> value.bytes(NFTA_DATA_VALUE, mask.toArray()))
          .nest(5, value -> value.bytes(NFTA_DATA_VALUE, xor.toArray()));
    }
  }

  /** Loads a constant. */
  record Immediate(int register, Bytes data) implements Expression {
    @Override
    public String kind() {
      return "immediate";
    }

    @Override
    public void write(NetlinkRequest message) {
      message.be32(1, register).nest(2, value -> value.bytes(NFTA_DATA_VALUE, data.toArray()));
    }
  }

  /** Ends the rule. The chain is that of a jump or goto, otherwise empty. */
  record Verdict(int code, String chain) implements Expression {
    public static final Verdict ACCEPT = new Verdict(NftablesConstants.NF_ACCEPT, "");
    public static final Verdict DROP = new Verdict(NftablesConstants.NF_DROP, "");
    public static final Verdict RETURN = new Verdict(NftablesConstants.NFT_RETURN, "");

    /** Goes to a chain of the same table and, if that gives no verdict, comes back. */
    public static Verdict jump(String chain) {
      return new Verdict(NftablesConstants.NFT_JUMP, chain);
    }

    /** Goes to a chain of the same table for good. */
    public static Verdict goTo(String chain) {
      return new Verdict(NftablesConstants.NFT_GOTO, chain);
    }

    @Override
    public String kind() {
      return "immediate";
    }

    @Override
    public void write(NetlinkRequest message) {
      message
          .be32(1, NftablesConstants.NFT_REG_VERDICT)
          .nest(2, value -> value.nest(NFTA_DATA_VERDICT, this::writeVerdict));
    }

    private void writeVerdict(NetlinkRequest message) {
      message.be32(NftablesConstants.NFTA_VERDICT_CODE, code);
      if (!chain.isEmpty()) {
        message.string(NftablesConstants.NFTA_VERDICT_CHAIN, chain);
      }
    }
  }

  /** Counts packets and bytes. What it has counted is no part of what it does. */
  record Counter() implements Expression {
    @Override
    public String kind() {
      return "counter";
    }

    @Override
    public void write(NetlinkRequest message) {
      message.be64(1, 0).be64(2, 0);
    }
  }

  /** Looks something up in the routing tables; result is NFT_FIB_RESULT_*, flags NFTA_FIB_F_*. */
  record Fib(int result, int flags, int register) implements Expression {
    public static final int ADDRESS_TYPE = 3;
    public static final int DESTINATION_ADDRESS = 2;

    @Override
    public String kind() {
      return "fib";
    }

    @Override
    public void write(NetlinkRequest message) {
      message.be32(1, register).be32(2, result).be32(3, flags);
    }
  }

  /** Loads something of the packet's connection; key is NFT_CT_*. */
  record Connection(int key, int register) implements Expression {
    public static final int STATE = 0;

    // the bits of a state
    public static final int ESTABLISHED = 2;
    public static final int RELATED = 4;
    public static final int NEW = 8;

    @Override
    public String kind() {
      return "ct";
    }

    @Override
    public void write(NetlinkRequest message) {
      message.be32(1, register).be32(2, key);
    }
  }

  /**
   * Goes on only if a register is in a set, or not. In a rule that is to be added the set comes
   * along; in one that is there it may be known by its name alone.
   */
  record Lookup(String set, Optional<AnonymousSet> content, int register, boolean inverted)
      implements Expression {
    /** A set of the rule's own. */
    static Lookup ofSet(AnonymousSet content, int register, boolean inverted) {
      return new Lookup(AnonymousSet.NAME_TEMPLATE, Optional.of(content), register, inverted);
    }

    @Override
    public String kind() {
      return "lookup";
    }

    @Override
    public void write(NetlinkRequest message) {
      message.string(1, set).be32(2, register).be32(5, inverted ? 1 : 0);
    }
  }

  /** Puts the address of the interface that the packet leaves by in place of its source. */
  record Masq(int flags) implements Expression {
    @Override
    public String kind() {
      return "masq";
    }

    @Override
    public void write(NetlinkRequest message) {
      if (flags != 0) {
        message.be32(1, flags);
      }
    }
  }

  /**
   * Translates an address, and the port unless that register is 0. The options are NF_NAT_RANGE_*,
   * without those that say which of the two there are.
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
    public void write(NetlinkRequest message) {
      message.be32(1, type).be32(2, family).be32(3, addressRegister);
      if (portRegister != 0) {
        message.be32(5, portRegister);
      }
      int flags = options | (portRegister != 0 ? PROTO_SPECIFIED : 0);
      if (flags != 0) {
        message.be32(7, flags);
      }
    }
  }

  /** Sends the packet to the host itself, at the port in the register unless that is 0. */
  record Redirect(int portRegister) implements Expression {
    @Override
    public String kind() {
      return "redir";
    }

    @Override
    public void write(NetlinkRequest message) {
      if (portRegister != 0) {
        message.be32(1, portRegister).be32(3, Nat.PROTO_SPECIFIED);
      }
    }
  }

  /** Drops the packet and tells its sender; type is NFT_REJECT_*, code that of ICMP. */
  record Reject(int type, int code) implements Expression {
    public static final int TCP_RESET = 1;

    @Override
    public String kind() {
      return "reject";
    }

    @Override
    public void write(NetlinkRequest message) {
      message.be32(1, type);
      if (type != TCP_RESET) {
        message.u8(2, code);
      }
    }
  }

  /** Goes on only for so many packets in that many seconds. */
  record Limit(long packets, long seconds, int burst, boolean inverted) implements Expression {
    @Override
    public String kind() {
      return "limit";
    }

    @Override
    public void write(NetlinkRequest message) {
      message.be64(1, packets).be64(2, seconds).be32(3, burst).be32(4, 0);
      message.be32(5, inverted ? 1 : 0);
    }
  }

  /** Writes the packet to the kernel's log, the prefix before it. */
  record PacketLog(String prefix) implements Expression {
    @Override
    public String kind() {
      return "log";
    }

    @Override
    public void write(NetlinkRequest message) {
      if (!prefix.isEmpty()) {
        message.string(2, prefix);
      }
    }
  }

  /** A match of iptables. */
  record XtMatch(String name, int revision, Bytes info) implements Expression {
    @Override
    public String kind() {
      return "match";
    }

    @Override
    public void write(NetlinkRequest message) {
      message.string(1, name).be32(2, revision).bytes(3, info.toArray());
    }
  }

  /** A target of iptables. */
  record XtTarget(String name, int revision, Bytes info) implements Expression {
    @Override
    public String kind() {
      return "target";
    }

    @Override
    public void write(NetlinkRequest message) {
      message.string(1, name).be32(2, revision).bytes(3, info.toArray());
    }
  }

  /** One of a kind, or with an attribute, that is not read here; equal to none. */
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
    public void write(NetlinkRequest message) {
      throw new UnsupportedOperationException("an expression of kind " + kind);
    }

    @Override
    public String toString() {
      return kind;
    }
  }
}
