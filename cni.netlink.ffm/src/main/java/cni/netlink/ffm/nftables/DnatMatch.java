package cni.netlink.ffm.nftables;

import cni.netlink.ffm.nftables.Expression.Compare;
import cni.netlink.ffm.nftables.Expression.Payload;
import cni.netlink.ffm.nftables.Expression.XtMatch;
import cni.netlink.ffm.nftables.Expression.XtTarget;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Optional;

/**
 * Which packets a rule sends elsewhere, read from a rule that nft or iptables has made.
 *
 * @param protocol their transport protocol
 * @param port the port that they are for
 * @param address the address that they are for; absent for any
 */
public record DnatMatch(int protocol, int port, Optional<InetAddress> address) {
  /** What a rule maps; empty if it is not one that maps a single port. */
  public static Optional<DnatMatch> of(Rule rule) {
    boolean maps = rule.expressions().stream().anyMatch(DnatMatch::isDnat);
    Optional<Integer> port = port(rule);
    if (!maps || port.isEmpty() || RuleBuilder.protocol(rule).isEmpty()) {
      return Optional.empty();
    }
    int protocol = RuleBuilder.protocol(rule).getAsInt();
    return Optional.of(new DnatMatch(protocol, port.get(), address(rule)));
  }

  /**
   * False if a rule cannot be one that maps the port, at a glance: most rules of a busy host are
   * about other ports.
   */
  public static boolean mightMatch(Rule rule, int port) {
    // iptables' matches have it in the order of the machine, which may be the other one.
    return rule.mightMatch(Bytes.be16(port))
        || rule.mightMatch(Bytes.be16(Short.reverseBytes((short) port)));
  }

  private static boolean isDnat(Expression expression) {
    return switch (expression) {
      case Expression.Nat nat -> nat.type() == Expression.Nat.DESTINATION;
      case XtTarget target -> target.name().equals("DNAT");
      default -> false;
    };
  }

  private static Optional<Integer> port(Rule rule) {
    Optional<Bytes> compared = compared(rule, Payload.TRANSPORT_HEADER, 2, 2);
    if (compared.isPresent()) {
      return compared.map(bytes -> port(bytes, 0, ByteOrder.BIG_ENDIAN));
    }
    // Where iptables has matches of its own for a protocol, two numbers are the ends of a range:
    // in struct xt_tcp and xt_udp those of the source come first, in struct xt_sctp_info last.
    for (Expression expression : rule.expressions()) {
      if (expression instanceof XtMatch(String name, int revision, Bytes info)
          && List.of("tcp", "udp", "sctp").contains(name)
          && info.length() >= 8) {
        return Optional.of(port(info, name.equals("sctp") ? 0 : 4, ByteOrder.nativeOrder()));
      }
    }
    return Optional.empty();
  }

  private static int port(Bytes bytes, int at, ByteOrder order) {
    return Short.toUnsignedInt(ByteBuffer.wrap(bytes.toArray()).order(order).getShort(at));
  }

  private static Optional<InetAddress> address(Rule rule) {
    return compared(rule, Payload.NETWORK_HEADER, 16, 4)
        .or(() -> compared(rule, Payload.NETWORK_HEADER, 24, 16))
        .map(DnatMatch::toAddress);
  }

  private static InetAddress toAddress(Bytes bytes) {
    try {
      return InetAddress.getByAddress(bytes.toArray());
    } catch (UnknownHostException e) {
      throw new IllegalStateException(e); // the length is right
    }
  }

  /** What the rule requires some bytes of the packet to be. */
  private static Optional<Bytes> compared(Rule rule, int base, int offset, int length) {
    List<Expression> all = rule.expressions();
    for (int i = 0; i + 1 < all.size(); i++) {
      if (all.get(i) instanceof Payload(int itsBase, int itsOffset, int itsLength, int register)
          && itsBase == base
          && itsOffset == offset
          && itsLength == length
          && all.get(i + 1) instanceof Compare(int operator, int compared, Bytes data)
          && operator == Compare.EQUAL
          && compared == register) {
        return Optional.of(data);
      }
    }
    return Optional.empty();
  }
}
