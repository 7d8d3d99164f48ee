// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.firewall;

import static cni.netlink.ffm.nftables.Expression.Compare.EQUAL;

import cni.api.InetAddresses;
import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.Expression;
import cni.netlink.ffm.nftables.Expression.Connection;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.Hook;
import cni.netlink.ffm.nftables.InstalledChain;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.IptablesRuleBuilder;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A base chain that filters forwarded packets, and the form of rules in it: as iptables-nft writes
 * them, which iptables(8) lists and changes, or as nft writes them.
 *
 * @param chain the chain
 * @param isIptables whether it belongs to iptables
 */
record ForwardChain(Chain chain, boolean isIptables) {
  /** The families of tables that filter forwarded packets. */
  static final Set<TableFamily> FAMILIES =
      Set.of(TableFamily.INET, TableFamily.IP, TableFamily.IP6);

  private static final int ESTABLISHED = Connection.ESTABLISHED | Connection.RELATED;

  /** Returns the FORWARD chain of iptables for a family; it need not exist yet. */
  static ForwardChain ofIptables(TableFamily family) {
    return new ForwardChain(new Table(family, "filter").chain("FORWARD"), true);
  }

  /**
   * Finds the other chains that drop packets which none of their rules accepts. The chains of
   * iptables are not among them, nor those of firewalld, which are changed over D-Bus only.
   */
  static List<ForwardChain> findDropping(RulesetReconciler reconciler) throws IOException {
    List<ForwardChain> chains = new ArrayList<>();
    for (InstalledChain installed : reconciler.baseChains()) {
      Chain chain = installed.chain();
      boolean forwards =
          installed
              .hook()
              .filter(hook -> hook.point() == Hook.FORWARD && hook.type().equals("filter"))
              .isPresent();
      if (forwards
          && FAMILIES.contains(chain.family())
          && !chain.equals(ofIptables(chain.family()).chain())
          && !chain.table().name().equals("firewalld")
          && !chain.table().equals(IngressPolicyRules.NFTABLES_TABLE)
          && reconciler.isUsable(chain.table())
          && (installed.dropsByDefault() || endsWithDropAll(reconciler.rules(chain)))) {
        chains.add(new ForwardChain(chain, false));
      }
    }
    return chains;
  }

  /** Whether the last rule drops or rejects every packet that reaches it. */
  private static boolean endsWithDropAll(List<InstalledRule> rules) {
    if (rules.isEmpty()) {
      return false;
    }
    List<Expression> last = rules.getLast().rule().expressions();
    return last.stream()
            .allMatch(
                it ->
                    it instanceof Expression.Counter
                        || it instanceof Expression.PacketLog
                        || isDrop(it))
        && last.stream().anyMatch(ForwardChain::isDrop);
  }

  private static boolean isDrop(Expression expression) {
    return expression.equals(Verdict.DROP) || expression instanceof Expression.Reject;
  }

  /** Whether packets of the address pass this chain. */
  boolean carries(InetAddress address) {
    return chain.family() == TableFamily.INET || chain.family() == TableFamily.of(address);
  }

  /** Returns another chain of the same table. */
  Chain sibling(String name) {
    return chain.table().chain(name);
  }

  /** Returns a rule that matches every packet. */
  Rule unconditionalRule(String comment, Verdict verdict) {
    return isIptables
        ? IptablesRuleBuilder.forFamily(chain.family()).comment(comment).verdict(verdict)
        : RuleBuilder.forFamily(chain.family()).append(verdict).build().withComment(comment);
  }

  /** Returns the rule that accepts replies to the address. */
  Rule acceptRepliesTo(InetAddress address) {
    int bits = InetAddresses.bits(address);
    return isIptables
        ? IptablesRuleBuilder.forFamily(chain.family())
            .destination(EQUAL, address, bits)
            .connectionState(ESTABLISHED)
            .verdict(Verdict.ACCEPT)
        : RuleBuilder.forFamily(chain.family())
            .destination(EQUAL, address, bits)
            .connectionState(ESTABLISHED)
            .append(Verdict.ACCEPT)
            .build();
  }

  /** Returns the rule that accepts everything from the address. */
  Rule acceptFrom(InetAddress address) {
    int bits = InetAddresses.bits(address);
    return isIptables
        ? IptablesRuleBuilder.forFamily(chain.family())
            .source(EQUAL, address, bits)
            .verdict(Verdict.ACCEPT)
        : RuleBuilder.forFamily(chain.family())
            .source(EQUAL, address, bits)
            .append(Verdict.ACCEPT)
            .build();
  }

  /** Returns the address that an accept rule is for; empty for another rule. */
  static Optional<InetAddress> addressOf(Rule rule) {
    return rule.expressions().stream()
        .filter(Expression.Compare.class::isInstance)
        .map(it -> ((Expression.Compare) it).data().toArray())
        .filter(data -> data.length == 4 || data.length == 16)
        .findFirst()
        .flatMap(ForwardChain::toAddress);
  }

  private static Optional<InetAddress> toAddress(byte[] bytes) {
    try {
      return Optional.of(InetAddress.getByAddress(bytes));
    } catch (UnknownHostException e) {
      return Optional.empty();
    }
  }
}
