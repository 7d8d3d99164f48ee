// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.ExpressionAttributes.*;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Reads the expressions of a listed rule. An expression with an attribute that {@link Expression}
 * cannot represent becomes {@link Expression.Unparsed}.
 */
final class ExpressionReader {
  private ExpressionReader() {}

  static List<Expression> readAll(Attributes rule) throws MalformedMessageException {
    List<Expression> expressions = new ArrayList<>();
    Optional<Attributes> list = rule.nested(NftablesConstants.NFTA_RULE_EXPRESSIONS);
    if (list.isPresent()) {
      for (ByteBuffer element : list.get().all(NftablesConstants.NFTA_LIST_ELEM)) {
        Attributes expression = Attributes.read(element);
        Attributes data =
            expression.nested(NftablesConstants.NFTA_EXPR_DATA).orElse(Attributes.NONE);
        expressions.add(read(expression.string(NftablesConstants.NFTA_EXPR_NAME).orElse(""), data));
      }
    }
    return expressions;
  }

  private static Expression read(String kind, Attributes data) throws MalformedMessageException {
    return switch (kind) {
      case "meta" -> meta(data);
      case "payload" -> payload(data);
      case "cmp" ->
          new Expression.Compare(
              number(data, NFTA_CMP_OP), number(data, NFTA_CMP_SREG), value(data, NFTA_CMP_DATA));
      case "bitwise" -> bitwise(data);
      case "immediate" -> immediate(data);
      case "counter" -> new Expression.Counter();
      case "fib" ->
          new Expression.Fib(
              number(data, NFTA_FIB_RESULT),
              number(data, NFTA_FIB_FLAGS),
              number(data, NFTA_FIB_DREG));
      case "ct" -> connection(data);
      case "lookup" -> lookup(data);
      case "objref" -> object(data);
      case "match" ->
          new Expression.XtMatch(
              text(data, NFTA_MATCH_NAME),
              number(data, NFTA_MATCH_REV),
              bytes(data, NFTA_MATCH_INFO));
      case "target" ->
          new Expression.XtTarget(
              text(data, NFTA_TARGET_NAME),
              number(data, NFTA_TARGET_REV),
              bytes(data, NFTA_TARGET_INFO));
      case "limit" -> limit(data);
      case "log" -> new Expression.PacketLog(text(data, NFTA_LOG_PREFIX));
      case "reject" ->
          new Expression.Reject(
              number(data, NFTA_REJECT_TYPE), data.u8(NFTA_REJECT_ICMP_CODE).orElse(0));
      case "masq" -> masq(data);
      case "redir" -> new Expression.Redirect(number(data, NFTA_REDIR_REG_PROTO_MIN));
      case "nat" -> nat(data);
      default -> new Expression.Unparsed(kind);
    };
  }

  /** Without a destination register, the expression sets the property. */
  private static Expression meta(Attributes data) throws MalformedMessageException {
    return data.has(NFTA_META_DREG)
        ? new Expression.Meta(number(data, NFTA_META_KEY), number(data, NFTA_META_DREG))
        : new Expression.Unparsed("meta");
  }

  /** Without a destination register, the expression writes to the packet. */
  private static Expression payload(Attributes data) throws MalformedMessageException {
    return data.has(NFTA_PAYLOAD_DREG)
        ? new Expression.Payload(
            number(data, NFTA_PAYLOAD_BASE),
            number(data, NFTA_PAYLOAD_OFFSET),
            number(data, NFTA_PAYLOAD_LEN),
            number(data, NFTA_PAYLOAD_DREG))
        : new Expression.Unparsed("payload");
  }

  /** Operations other than 0, NFT_BITWISE_BOOL, shift. */
  private static Expression bitwise(Attributes data) throws MalformedMessageException {
    return number(data, NFTA_BITWISE_OP) == 0
        ? new Expression.Bitwise(
            number(data, NFTA_BITWISE_SREG),
            number(data, NFTA_BITWISE_DREG),
            value(data, NFTA_BITWISE_MASK),
            value(data, NFTA_BITWISE_XOR))
        : new Expression.Unparsed("bitwise");
  }

  private static Expression immediate(Attributes data) throws MalformedMessageException {
    int register = number(data, NFTA_IMMEDIATE_DREG);
    if (register != NftablesConstants.NFT_REG_VERDICT) {
      return new Expression.Immediate(register, value(data, NFTA_IMMEDIATE_DATA));
    }
    Optional<Attributes> value = data.nested(NFTA_IMMEDIATE_DATA);
    Optional<Attributes> verdict =
        value.isEmpty()
            ? Optional.empty()
            : value.get().nested(NftablesConstants.NFTA_DATA_VERDICT);
    if (verdict.isEmpty()) {
      throw new MalformedMessageException("a verdict without a code");
    }
    return new Expression.Verdict(
        number(verdict.get(), NftablesConstants.NFTA_VERDICT_CODE),
        text(verdict.get(), NftablesConstants.NFTA_VERDICT_CHAIN));
  }

  /** Without a destination register, the expression sets the property. */
  private static Expression connection(Attributes data) throws MalformedMessageException {
    return data.has(NFTA_CT_DREG) && !data.has(NFTA_CT_DIRECTION)
        ? new Expression.Connection(number(data, NFTA_CT_KEY), number(data, NFTA_CT_DREG))
        : new Expression.Unparsed("ct");
  }

  /** With a destination register, the set is a map; it may be one of other values than verdicts. */
  private static Expression lookup(Attributes data) throws MalformedMessageException {
    String set = text(data, NFTA_LOOKUP_SET);
    int register = number(data, NFTA_LOOKUP_SREG);
    boolean inverted = number(data, NFTA_LOOKUP_FLAGS) != 0;
    if (!data.has(NFTA_LOOKUP_DREG)) {
      return new Expression.Lookup(set, Optional.empty(), register, inverted);
    }
    return number(data, NFTA_LOOKUP_DREG) == NftablesConstants.NFT_REG_VERDICT && !inverted
        ? new Expression.VerdictLookup(set, register)
        : new Expression.Unparsed("lookup");
  }

  /** Without a name, the expression looks up the object in a map. */
  private static Expression object(Attributes data) throws MalformedMessageException {
    return data.has(NFTA_OBJREF_IMM_NAME)
        ? new Expression.ObjectReference(
            number(data, NFTA_OBJREF_IMM_TYPE), text(data, NFTA_OBJREF_IMM_NAME))
        : new Expression.Unparsed("objref");
  }

  /** Types other than 0, NFT_LIMIT_PKTS, limit bytes. */
  private static Expression limit(Attributes data) throws MalformedMessageException {
    return number(data, NFTA_LIMIT_TYPE) == 0
        ? new Expression.Limit(
            data.be64(NFTA_LIMIT_RATE).orElse(0),
            data.be64(NFTA_LIMIT_UNIT).orElse(0),
            number(data, NFTA_LIMIT_BURST),
            number(data, NFTA_LIMIT_FLAGS) != 0)
        : new Expression.Unparsed("limit");
  }

  private static Expression masq(Attributes data) throws MalformedMessageException {
    return data.has(NFTA_MASQ_REG_PROTO_MIN)
        ? new Expression.Unparsed("masq")
        : new Expression.Masq(number(data, NFTA_MASQ_FLAGS));
  }

  private static Expression nat(Attributes data) throws MalformedMessageException {
    int derived = Expression.Nat.MAP_IPS | Expression.Nat.PROTO_SPECIFIED;
    return new Expression.Nat(
        number(data, NFTA_NAT_TYPE),
        number(data, NFTA_NAT_FAMILY),
        number(data, NFTA_NAT_REG_ADDR_MIN),
        number(data, NFTA_NAT_REG_PROTO_MIN),
        number(data, NFTA_NAT_FLAGS) & ~derived);
  }

  private static int number(Attributes data, int attribute) throws MalformedMessageException {
    return data.be32(attribute).orElse(0);
  }

  private static String text(Attributes data, int attribute) {
    return data.string(attribute).orElse("");
  }

  private static Bytes bytes(Attributes data, int attribute) {
    return Bytes.of(data.bytes(attribute).orElse(new byte[0]));
  }

  private static Bytes value(Attributes data, int attribute) throws MalformedMessageException {
    Optional<Attributes> value = data.nested(attribute);
    return value.isEmpty() ? Bytes.of() : bytes(value.get(), NftablesConstants.NFTA_DATA_VALUE);
  }
}
