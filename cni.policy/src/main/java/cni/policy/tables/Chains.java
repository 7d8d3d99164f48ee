// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import static cni.netlink.ffm.nftables.RuleBuilder.UDP;

import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.Hook;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.TableContent.ChainContent;
import cni.netlink.ffm.nftables.TableFamily;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Builds chains. */
final class Chains {
  /** The types of ICMPv6 of multicast membership and neighbour discovery (RFC 2710, 4861, 3810). */
  private static final int[] CONTROL_TYPES = {130, 131, 132, 133, 134, 135, 136, 143};

  /** The source and destination ports of clients and servers of DHCP (RFC 2131, 8415). */
  private static final int[][] DHCP_PORTS = {{68, 67}, {67, 68}, {546, 547}, {547, 546}};

  private Chains() {}

  static ChainContent regular(Rule... rules) {
    return new ChainContent(Optional.empty(), List.of(rules));
  }

  static ChainContent base(Hook hook, Rule... rules) {
    return new ChainContent(Optional.of(hook), List.of(rules));
  }

  /**
   * Returns a chain that accepts what every container needs: neighbour discovery, multicast
   * membership and DHCP.
   *
   * @param first rules before those
   */
  static ChainContent control(TableFamily family, Rule... first) {
    List<Rule> rules = new ArrayList<>(List.of(first));
    rules.add(accepting(RuleBuilder.forFamily(family).icmpv6Type(CONTROL_TYPES)));
    for (int[] ports : DHCP_PORTS) {
      rules.add(accepting(RuleBuilder.forFamily(family).ports(UDP, ports[0], ports[1])));
    }
    return new ChainContent(Optional.empty(), rules);
  }

  /** Returns a rule that accepts the packets that match. */
  static Rule accepting(RuleBuilder rule) {
    return rule.append(Verdict.ACCEPT).build();
  }

  /** Returns a rule that ends the chain for the packets that match. */
  static Rule returning(RuleBuilder rule) {
    return rule.append(Verdict.RETURN).build();
  }

  /** Returns a rule that counts and drops the packets that match. */
  static Rule drop(RuleBuilder rule, String comment) {
    return rule.counter().append(Verdict.DROP).build().withComment(comment);
  }

  /** Returns a rule that does nothing but carry a comment. */
  static Rule comment(String comment) {
    return returning(RuleBuilder.forFamily(TableFamily.INET)).withComment(comment);
  }
}
