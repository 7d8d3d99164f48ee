// SPDX-License-Identifier: Apache-2.0
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
import java.util.OptionalInt;

/**
 * The packets that a DNAT rule matches, read from a rule of nft(8) or iptables(8).
 *
 * @param protocol the transport protocol, IPPROTO_*
 * @param port the destination port
 * @param address the destination address; empty for any
 */
public record DnatMatch(int protocol, int port, Optional<InetAddress> address) {
  /** Returns what a rule matches; empty if it is not a DNAT rule for a single port. */
  public static Optional<DnatMatch> of(Rule rule) {
    boolean isDnat = rule.expressions().stream().anyMatch(DnatMatch::isDnat);
    Optional<Integer> port = port(rule);
    OptionalInt protocol = RuleBuilder.protocol(rule);
    if (!isDnat || port.isEmpty() || protocol.isEmpty()) {
      return Optional.empty();
    }
    return Optional.of(new DnatMatch(protocol.getAsInt(), port.get(), address(rule)));
  }

  /**
   * Returns false if a rule certainly does not match a port. Searches the bytes of a listed rule
   * without reading its expressions: most rules of a busy host are for other ports.
   */
  public static boolean mightMatch(Rule rule, int port) {
    // Matches of iptables contain the port in the byte order of the machine.
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
    // The matches of iptables contain ranges of two ports, of which the first is read here. In
    // struct xt_tcp and xt_udp the source ports come first, in struct xt_sctp_info last.
    for (Expression expression : rule.expressions()) {
      if (expression instanceof XtMatch(String name, int revision, Bytes info)
          && List.of("tcp", "udp", "sctp").contains(name)
          && info.length() >= 8) {
        return Optional.of(port(info, name.equals("sctp") ? 0 : 4, ByteOrder.nativeOrder()));
      }
    }
    return Optional.empty();
  }

  private static int port(Bytes bytes, int offset, ByteOrder order) {
    return Short.toUnsignedInt(ByteBuffer.wrap(bytes.toArray()).order(order).getShort(offset));
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

  /** Returns the value that a rule requires some bytes of the packet to have; empty for any. */
  private static Optional<Bytes> compared(Rule rule, int base, int offset, int length) {
    List<Expression> all = rule.expressions();
    for (int i = 0; i + 1 < all.size(); i++) {
      if (all.get(i) instanceof Payload payload
          && payload.base() == base
          && payload.offset() == offset
          && payload.length() == length
          && all.get(i + 1) instanceof Compare compare
          && compare.operator() == Compare.EQUAL
          && compare.data().length() == length
          && compare.register() == payload.register()) {
        return Optional.of(compare.data());
      }
    }
    return Optional.empty();
  }
}
