package cni.plugins.meta.firewall;

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
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * A chain that decides what passes through the host, and how rules in it are written: as those of
 * iptables, which reads and changes them, or as those of nft.
 *
 * @param chain the chain
 * @param isIptables whether it is one that iptables keeps
 */
record ForwardChain(Chain chain, boolean isIptables) {
  private static final int ESTABLISHED = Connection.ESTABLISHED | Connection.RELATED;

  /** That of iptables for a family; the chain need not exist yet. */
  static ForwardChain ofIptables(TableFamily family) {
    return new ForwardChain(new Table(family, "filter").chain("FORWARD"), true);
  }

  /**
   * Those of others that drop what no rule of theirs accepts. Neither iptables' are among them nor
   * firewalld's, which wants to be asked.
   */
  static List<ForwardChain> findDropping(RulesetReconciler change) throws IOException {
    List<ForwardChain> chains = new ArrayList<>();
    for (InstalledChain listed : change.chains()) {
      Chain chain = listed.chain();
      boolean forward =
          listed
              .hook()
              .filter(hook -> hook.point() == Hook.FORWARD && hook.type().equals("filter"))
              .isPresent();
      if (forward
          && Set.of(TableFamily.INET, TableFamily.IP, TableFamily.IP6).contains(chain.family())
          && !chain.equals(ofIptables(chain.family()).chain())
          && !chain.table().name().equals("firewalld")
          && !chain.table().equals(IngressPolicyRules.NFTABLES_TABLE)
          && change.isUsable(chain.table())
          && (listed.dropsByDefault() || endsWithDropAll(change.rules(chain)))) {
        chains.add(new ForwardChain(chain, false));
      }
    }
    return chains;
  }

  /** Whether the last rule drops or rejects everything that gets there. */
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

  /** Whether packets of the address come through here. */
  boolean carries(InetAddress address) {
    return chain.family() == TableFamily.INET || chain.family() == TableFamily.of(address);
  }

  /** Another chain of the same table. */
  Chain sibling(String name) {
    return chain.table().chain(name);
  }

  /** The rule that every packet obeys. */
  Rule unconditionalRule(String comment, Verdict verdict) {
    return isIptables
        ? IptablesRuleBuilder.forFamily(chain.family()).comment(comment).verdict(verdict)
        : RuleBuilder.forFamily(chain.family()).append(verdict).build().withComment(comment);
  }

  /** The rule that lets answers to the address pass. */
  Rule acceptRepliesTo(InetAddress address) {
    int bits = 8 * address.getAddress().length;
    return isIptables
        ? IptablesRuleBuilder.forFamily(chain.family())
            .destination(Expression.Compare.EQUAL, address, bits)
            .connectionState(ESTABLISHED)
            .verdict(Verdict.ACCEPT)
        : RuleBuilder.forFamily(chain.family())
            .destination(Expression.Compare.EQUAL, address, bits)
            .connectionState(ESTABLISHED)
            .append(Verdict.ACCEPT)
            .build();
  }

  /** The rule that lets everything from the address pass. */
  Rule acceptFrom(InetAddress address) {
    int bits = 8 * address.getAddress().length;
    return isIptables
        ? IptablesRuleBuilder.forFamily(chain.family())
            .source(Expression.Compare.EQUAL, address, bits)
            .verdict(Verdict.ACCEPT)
        : RuleBuilder.forFamily(chain.family())
            .source(Expression.Compare.EQUAL, address, bits)
            .append(Verdict.ACCEPT)
            .build();
  }
}
