package cni.plugins.meta.firewall;

import static cni.netlink.ffm.nftables.Expression.Compare.EQUAL;
import static cni.netlink.ffm.nftables.Expression.Compare.NOT_EQUAL;

import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.Hook;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.IptablesRuleBuilder;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
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
record IngressPolicyRules(String bridge, FirewallConfig.IngressPolicy policy) {
  /** Where the chains are if iptables is not to be used. */
  static final Table NFTABLES_TABLE = new Table(TableFamily.INET, "cni_firewall");

  private static final String STAGE_1 = "CNI-ISOLATION-STAGE-1";
  private static final String STAGE_2 = "CNI-ISOLATION-STAGE-2";
  private static final String SHARED_COMMENT =
      "CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)";

  /** A rule and whether it belongs at the beginning of its chain. */
  private record PlacedRule(Chain chain, Rule rule, boolean atStart) {}

  /** The deciding chain in a family's table of iptables, or in the own table. */
  static ForwardChain baseChain(TableFamily family) {
    return family == TableFamily.INET
        ? new ForwardChain(NFTABLES_TABLE.chain("forward"), false)
        : ForwardChain.ofIptables(family);
  }

  /** Adds what is missing. */
  void add(RulesetReconciler change, ForwardChain forward) throws IOException {
    if (!forward.isIptables() && !change.has(forward.chain())) {
      change.transaction().add(NFTABLES_TABLE).add(forward.chain(), Hook.FILTER_FORWARD);
    }
    change.ensure(forward.sibling(STAGE_1)).ensure(forward.sibling(STAGE_2));
    change.ensure(forward.chain());
    for (PlacedRule placed : rules(forward)) {
      if (placed.atStart()) {
        change.insert(placed.chain(), placed.rule());
      } else {
        change.append(placed.chain(), placed.rule());
      }
    }
  }

  private List<PlacedRule> rules(ForwardChain forward) {
    Chain stage1 = forward.sibling(STAGE_1);
    Chain stage2 = forward.sibling(STAGE_2);
    String comment = "CNI firewall plugin rules (ingressPolicy: " + policy.configValue() + ")";
    List<PlacedRule> rules = new ArrayList<>();
    Rule enter = forward.unconditionalRule(SHARED_COMMENT, Verdict.jump(STAGE_1));
    rules.add(new PlacedRule(forward.chain(), enter, true));
    Rule leaves = bridgeMatch(forward, true, NOT_EQUAL, comment, Verdict.jump(STAGE_2));
    rules.add(new PlacedRule(stage1, leaves, true));
    if (policy == FirewallConfig.IngressPolicy.ISOLATED) {
      Rule stays = bridgeMatch(forward, true, EQUAL, comment, Verdict.DROP);
      rules.add(new PlacedRule(stage1, stays, true));
    }
    Rule back = forward.unconditionalRule(SHARED_COMMENT, Verdict.RETURN);
    rules.add(new PlacedRule(stage1, back, false));
    Rule enters = bridgeMatch(forward, false, EQUAL, SHARED_COMMENT, Verdict.DROP);
    rules.add(new PlacedRule(stage2, enters, true));
    rules.add(new PlacedRule(stage2, back, false));
    return rules;
  }

  /** Packets that come in by the bridge, if that is asked, and leave by it or not. */
  private Rule bridgeMatch(
      ForwardChain forward, boolean fromBridge, int operator, String comment, Verdict verdict) {
    TableFamily family = forward.chain().family();
    if (forward.isIptables()) {
      IptablesRuleBuilder rule = IptablesRuleBuilder.forFamily(family);
      if (fromBridge) {
        rule.inputInterface(EQUAL, bridge);
      }
      return rule.outputInterface(operator, bridge).comment(comment).verdict(verdict);
    }
    RuleBuilder rule = RuleBuilder.forFamily(family);
    if (fromBridge) {
      rule.inputInterface(EQUAL, bridge);
    }
    return rule.outputInterface(operator, bridge).append(verdict).build().withComment(comment);
  }

  /** The rules that there should be. */
  List<InstalledRule> expectedRules(ForwardChain forward) {
    return rules(forward).stream()
        .map(placed -> new InstalledRule(placed.chain(), 0, placed.rule()))
        .toList();
  }
}
