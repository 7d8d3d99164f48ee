// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static java.nio.charset.StandardCharsets.UTF_8;

import cni.netlink.ffm.nftables.Expression.XtMatch;
import cni.netlink.ffm.nftables.Expression.XtTarget;
import cni.netlink.ffm.route.IpFamily;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * The text of matches and targets of iptables(8) as the expressions of nft(8) that have the same
 * effect; those that {@link IptablesRuleBuilder} does not make are only named.
 */
final class IptablesText {
  /** The size of struct nf_nat_range2 without its base port. */
  private static final int NAT_RANGE = 40;

  /** The size of struct xt_mark_tginfo2: mark, mask. */
  private static final int MARK_INFO = 8;

  private IptablesText() {}

  /** Returns the text of a match that is neither a comment nor a multiport. */
  static String of(XtMatch match) {
    return IptablesRuleBuilder.isToLocalAddress(match)
        ? "fib daddr type local"
        : "xt match \"" + match.name() + "\"";
  }

  /** Returns the text of a target. */
  static String of(XtTarget target, TableFamily family) {
    Optional<String> known =
        switch (target.name()) {
          case "MASQUERADE" -> Optional.of("masquerade");
          case "MARK" -> mark(target);
          case "DNAT" -> destinationNat(target, family);
          default -> Optional.empty();
        };
    return known.orElse("xt target \"" + target.name() + "\"");
  }

  /** Returns the text of a comment. */
  static String comment(XtMatch match) {
    String text = new String(match.info().toArray(), UTF_8);
    int end = text.indexOf(0);
    return end < 0 ? text : text.substring(0, end);
  }

  /** Returns the ports of a multiport match as a set; absent if they are not a plain list. */
  static Optional<String> destinationPorts(XtMatch match) {
    return IptablesRuleBuilder.destinationPortsOf(new Rule(List.of(match), Userdata.NONE))
        .map(
            ports ->
                new TreeSet<>(ports)
                    .stream().map(String::valueOf).collect(Collectors.joining(", ", "{ ", " }")));
  }

  /** Reads struct xt_mark_tginfo2; absent if the target does more than set bits. */
  private static Optional<String> mark(XtTarget target) {
    if (target.revision() != 2 || target.info().length() < MARK_INFO) {
      return Optional.empty();
    }
    ByteBuffer info = info(target);
    int mark = info.getInt(0);
    return mark == info.getInt(4)
        ? Optional.of("meta mark set mark or 0x%08x".formatted(mark))
        : Optional.empty();
  }

  /** Reads struct nf_nat_range2, as {@link IptablesRuleBuilder#destinationNat} writes it. */
  private static Optional<String> destinationNat(XtTarget target, TableFamily family) {
    if (target.revision() != 2 || target.info().length() < NAT_RANGE) {
      return Optional.empty();
    }
    boolean isV4 = family == TableFamily.IP;
    int flags = info(target).getInt(0);
    byte[] address = new byte[16];
    info(target).get(4, address);
    String text = RuleField.address(Bytes.of(address), isV4 ? IpFamily.IPV4 : IpFamily.IPV6);
    if ((flags & Expression.Nat.PROTO_SPECIFIED) == 0) {
      return Optional.of("dnat to " + text);
    }
    int port = Short.toUnsignedInt(info(target).order(ByteOrder.BIG_ENDIAN).getShort(36));
    return Optional.of("dnat to " + (isV4 ? text : "[" + text + "]") + ":" + port);
  }

  private static ByteBuffer info(XtTarget target) {
    return ByteBuffer.wrap(target.info().toArray()).order(ByteOrder.nativeOrder());
  }
}
