package cni.plugins.chained;

import cni.netlink.ffm.netfilter.Chain;
import cni.netlink.ffm.netfilter.Expression;
import cni.netlink.ffm.netfilter.Expression.Connection;
import cni.netlink.ffm.netfilter.Expression.Verdict;
import cni.netlink.ffm.netfilter.Family;
import cni.netlink.ffm.netfilter.Hook;
import cni.netlink.ffm.netfilter.IptablesRule;
import cni.netlink.ffm.netfilter.ListedChain;
import cni.netlink.ffm.netfilter.ListedRule;
import cni.netlink.ffm.netfilter.Rule;
import cni.netlink.ffm.netfilter.RuleBuilder;
import cni.netlink.ffm.netfilter.RulesetChange;
import cni.netlink.ffm.netfilter.Table;
import java.io.IOException;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * A chain that decides what passes through the host, and how rules in it are written: as those of
 * iptables, which reads and changes them, or as those of nft.
 *
 * @param chain the chain
 * @param iptables whether it is one that iptables keeps
 */
record ForwardChain(Chain chain, boolean iptables) {
  private static final int ESTABLISHED = Connection.ESTABLISHED | Connection.RELATED;

  /** That of iptables for a family; the chain need not exist yet. */
  static ForwardChain ofIptables(Family family) {
    return new ForwardChain(new Table(family, "filter").chain("FORWARD"), true);
  }

  /**
   * Those of others that drop what no rule of theirs accepts. Neither iptables' are among them nor
   * firewalld's, which wants to be asked.
   */
  static List<ForwardChain> ofOthers(RulesetChange change) throws IOException {
    List<ForwardChain> chains = new ArrayList<>();
    for (ListedChain listed : change.chains()) {
      Chain chain = listed.chain();
      boolean forward =
          listed
              .hook()
              .filter(hook -> hook.point() == Hook.FORWARD && hook.type().equals("filter"))
              .isPresent();
      if (forward
          && Set.of(Family.INET, Family.IP, Family.IP6).contains(chain.family())
          && !chain.equals(ofIptables(chain.family()).chain())
          && !chain.table().name().equals("firewalld")
          && !chain.table().equals(IngressIsolation.OWN_TABLE)
          && change.isOpen(chain.table())
          && (listed.drops() || endsWithDrop(change.rules(chain)))) {
        chains.add(new ForwardChain(chain, false));
      }
    }
    return chains;
  }

  /** Whether the last rule drops or rejects everything that gets there. */
  private static boolean endsWithDrop(List<ListedRule> rules) {
    if (rules.isEmpty()) {
      return false;
    }
    List<Expression> last = rules.getLast().rule().expressions();
    return last.stream()
            .allMatch(
                it ->
                    it instanceof Expression.Counter || it instanceof Expression.Log || isDrop(it))
        && last.stream().anyMatch(ForwardChain::isDrop);
  }

  private static boolean isDrop(Expression expression) {
    return expression.equals(Verdict.DROP) || expression instanceof Expression.Reject;
  }

  /** Whether packets of the address come through here. */
  boolean sees(InetAddress address) {
    Family own = address instanceof Inet4Address ? Family.IP : Family.IP6;
    return chain.family() == Family.INET || chain.family() == own;
  }

  /** Another chain of the same table. */
  Chain sibling(String name) {
    return chain.table().chain(name);
  }

  /** The rule that every packet obeys. */
  Rule always(String comment, Verdict verdict) {
    return iptables
        ? IptablesRule.in(chain.family()).comment(comment).then(verdict)
        : RuleBuilder.in(chain.family()).with(verdict).build().commented(comment);
  }

  /** The rule that lets answers to the address pass. */
  Rule acceptAnswers(InetAddress address) {
    int bits = 8 * address.getAddress().length;
    return iptables
        ? IptablesRule.in(chain.family())
            .destination(Expression.Compare.EQUAL, address, bits)
            .connectionState(ESTABLISHED)
            .then(Verdict.ACCEPT)
        : RuleBuilder.in(chain.family())
            .destination(Expression.Compare.EQUAL, address, bits)
            .connectionState(ESTABLISHED)
            .with(Verdict.ACCEPT)
            .build();
  }

  /** The rule that lets everything from the address pass. */
  Rule acceptFrom(InetAddress address) {
    int bits = 8 * address.getAddress().length;
    return iptables
        ? IptablesRule.in(chain.family())
            .source(Expression.Compare.EQUAL, address, bits)
            .then(Verdict.ACCEPT)
        : RuleBuilder.in(chain.family())
            .source(Expression.Compare.EQUAL, address, bits)
            .with(Verdict.ACCEPT)
            .build();
  }
}
