package cni.netlink.ffm.nftables;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Reads the expressions of a rule that the kernel lists. */
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
      case "meta" ->
          data.has(1) ? new Expression.Meta(number(data, 2), number(data, 1)) : other(kind);
      case "payload" ->
          data.has(1)
              ? new Expression.Payload(
                  number(data, 2), number(data, 3), number(data, 4), number(data, 1))
              : other(kind);
      case "cmp" -> new Expression.Compare(number(data, 2), number(data, 1), value(data, 3));
      case "bitwise" ->
          number(data, 6) == 0
              ? new Expression.Bitwise(
                  number(data, 1), number(data, 2), value(data, 4), value(data, 5))
              : other(kind);
      case "immediate" -> immediate(data);
      case "counter" -> new Expression.Counter();
      case "fib" -> new Expression.Fib(number(data, 2), number(data, 3), number(data, 1));
      case "ct" ->
          data.has(1) && !data.has(3)
              ? new Expression.Connection(number(data, 2), number(data, 1))
              : other(kind);
      case "lookup" -> lookup(data);
      case "match" -> new Expression.XtMatch(text(data, 1), number(data, 2), bytes(data, 3));
      case "target" -> new Expression.XtTarget(text(data, 1), number(data, 2), bytes(data, 3));
      case "limit" -> limit(data);
      case "log" -> new Expression.PacketLog(text(data, 2));
      case "reject" -> new Expression.Reject(number(data, 1), data.u8(2).orElse(0));
      default -> translation(kind, data);
    };
  }

  private static Expression translation(String kind, Attributes data)
      throws MalformedMessageException {
    return switch (kind) {
      case "masq" -> data.has(2) ? other(kind) : new Expression.Masq(number(data, 1));
      case "redir" -> new Expression.Redirect(number(data, 1));
      case "nat" -> {
        int options = number(data, 7) & ~(Expression.Nat.MAP_IPS | Expression.Nat.PROTO_SPECIFIED);
        yield new Expression.Nat(
            number(data, 1), number(data, 2), number(data, 3), number(data, 5), options);
      }
      default -> other(kind);
    };
  }

  private static Expression immediate(Attributes data) throws MalformedMessageException {
    if (number(data, 1) != NftablesConstants.NFT_REG_VERDICT) {
      return new Expression.Immediate(number(data, 1), value(data, 2));
    }
    Optional<Attributes> value = data.nested(2);
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

  private static Expression lookup(Attributes data) throws MalformedMessageException {
    return data.has(3)
        ? other("lookup") // it maps, which is more than to go on or not
        : new Expression.Lookup(
            text(data, 1), Optional.empty(), number(data, 2), number(data, 5) != 0);
  }

  private static Expression limit(Attributes data) throws MalformedMessageException {
    return number(data, 4) != 0
        ? other("limit") // of bytes
        : new Expression.Limit(
            data.be64(1).orElse(0), data.be64(2).orElse(0), number(data, 3), number(data, 5) != 0);
  }

  private static Expression other(String kind) {
    return new Expression.Unparsed(kind);
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
