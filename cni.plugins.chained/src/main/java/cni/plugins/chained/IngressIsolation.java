package cni.plugins.chained;

import static cni.netlink.ffm.netfilter.Expression.Compare.EQUAL;
import static cni.netlink.ffm.netfilter.Expression.Compare.NOT_EQUAL;

import cni.netlink.ffm.netfilter.Chain;
import cni.netlink.ffm.netfilter.Expression.Verdict;
import cni.netlink.ffm.netfilter.Family;
import cni.netlink.ffm.netfilter.Hook;
import cni.netlink.ffm.netfilter.IptablesRule;
import cni.netlink.ffm.netfilter.ListedRule;
import cni.netlink.ffm.netfilter.Rule;
import cni.netlink.ffm.netfilter.RuleBuilder;
import cni.netlink.ffm.netfilter.RulesetChange;
import cni.netlink.ffm.netfilter.Table;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * Keeps the containers at a bridge from those at other bridges, and if so wanted from each other
 * ({@code ingressPolicy}). In the first of two chains a packet that leaves one such bridge is
 * found, in the second that it is about to enter another. The rules are the bridge's, which others
 * use as well, and stay when a container goes; names and rules are the reference plugin's.
 *
 * @param bridge the bridge
 * @param policy same-bridge or isolated
 */
record IngressIsolation(String bridge, FirewallConfig.IngressPolicy policy) {
  /** Where the chains are if iptables is not to be used. */
  static final Table OWN_TABLE = new Table(Family.INET, "cni_firewall");

  private static final String STAGE_1 = "CNI-ISOLATION-STAGE-1";
  private static final String STAGE_2 = "CNI-ISOLATION-STAGE-2";
  private static final String SHARED_COMMENT =
      "CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)";

  /** A rule and whether it belongs at the beginning of its chain. */
  private record Placed(Chain chain, Rule rule, boolean first) {}

  /** The deciding chain in a family's table of iptables, or in the own table. */
  static ForwardChain forward(Family family) {
    return family == Family.INET
        ? new ForwardChain(OWN_TABLE.chain("forward"), false)
        : ForwardChain.ofIptables(family);
  }

  /** Adds what is missing. */
  void add(RulesetChange change, ForwardChain forward) throws IOException {
    if (!forward.iptables() && !change.has(forward.chain())) {
      change.transaction().add(OWN_TABLE).add(forward.chain(), Hook.FILTER_FORWARD);
    }
    change.ensure(forward.sibling(STAGE_1)).ensure(forward.sibling(STAGE_2));
    change.ensure(forward.chain());
    for (Placed placed : rules(forward)) {
      if (placed.first()) {
        change.insert(placed.chain(), placed.rule());
      } else {
        change.append(placed.chain(), placed.rule());
      }
    }
  }

  private List<Placed> rules(ForwardChain forward) {
    Chain stage1 = forward.sibling(STAGE_1);
    Chain stage2 = forward.sibling(STAGE_2);
    String comment = "CNI firewall plugin rules (ingressPolicy: " + policy.word() + ")";
    List<Placed> rules = new ArrayList<>();
    Rule enter = forward.always(SHARED_COMMENT, Verdict.jump(STAGE_1));
    rules.add(new Placed(forward.chain(), enter, true));
    Rule leaves = between(forward, true, NOT_EQUAL, comment, Verdict.jump(STAGE_2));
    rules.add(new Placed(stage1, leaves, true));
    if (policy == FirewallConfig.IngressPolicy.ISOLATED) {
      Rule stays = between(forward, true, EQUAL, comment, Verdict.DROP);
      rules.add(new Placed(stage1, stays, true));
    }
    Rule back = forward.always(SHARED_COMMENT, Verdict.RETURN);
    rules.add(new Placed(stage1, back, false));
    Rule enters = between(forward, false, EQUAL, SHARED_COMMENT, Verdict.DROP);
    rules.add(new Placed(stage2, enters, true));
    rules.add(new Placed(stage2, back, false));
    return rules;
  }

  /** Packets that come in by the bridge, if that is asked, and leave by it or not. */
  private Rule between(
      ForwardChain forward, boolean fromBridge, int operator, String comment, Verdict verdict) {
    Family family = forward.chain().family();
    if (forward.iptables()) {
      IptablesRule rule = IptablesRule.in(family);
      if (fromBridge) {
        rule.inputInterface(EQUAL, bridge);
      }
      return rule.outputInterface(operator, bridge).comment(comment).then(verdict);
    }
    RuleBuilder rule = RuleBuilder.in(family);
    if (fromBridge) {
      rule.inputInterface(EQUAL, bridge);
    }
    return rule.outputInterface(operator, bridge).with(verdict).build().commented(comment);
  }

  /** The rules that there should be. */
  List<ListedRule> wanted(ForwardChain forward) {
    return rules(forward).stream()
        .map(placed -> new ListedRule(placed.chain(), 0, placed.rule()))
        .toList();
  }
}
