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
 * The rules that isolate the containers of a bridge from those of other bridges, and with {@code
 * isolated} from each other ({@code ingressPolicy}). The first of two chains matches packets that
 * leave the bridge, the second drops those of them that are about to enter another bridge with a
 * policy. The rules are shared by all containers of the bridge and stay when one is deleted. Names
 * and rules are those of the reference plugin.
 *
 * @param bridge the name of the bridge
 * @param policy {@code SAME_BRIDGE} or {@code ISOLATED}
 */
record IngressPolicyRules(String bridge, FirewallConfig.IngressPolicy policy) {
  /** The table of the chains with the nftables backend. */
  static final Table NFTABLES_TABLE = new Table(TableFamily.INET, "cni_firewall");

  private static final String STAGE_1 = "CNI-ISOLATION-STAGE-1";
  private static final String STAGE_2 = "CNI-ISOLATION-STAGE-2";
  private static final String SHARED_COMMENT =
      "CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)";

  /** A rule, and whether it is inserted at the start of its chain or appended. */
  private record PlacedRule(Chain chain, Rule rule, boolean atStart) {}

  /** Returns the base chain: that of iptables for IP and IP6, that of the own table for INET. */
  static ForwardChain baseChain(TableFamily family) {
    return family == TableFamily.INET
        ? new ForwardChain(NFTABLES_TABLE.chain("forward"), false)
        : ForwardChain.ofIptables(family);
  }

  /** Adds the chains and rules that are missing. */
  void add(RulesetReconciler reconciler, ForwardChain forward) throws IOException {
    if (!forward.isIptables() && !reconciler.has(forward.chain())) {
      reconciler.transaction().add(NFTABLES_TABLE).add(forward.chain(), Hook.FILTER_FORWARD);
    }
    reconciler.ensure(forward.sibling(STAGE_1)).ensure(forward.sibling(STAGE_2));
    reconciler.ensure(forward.chain());
    for (PlacedRule placed : rules(forward)) {
      if (placed.atStart()) {
        reconciler.insert(placed.chain(), placed.rule());
      } else {
        reconciler.append(placed.chain(), placed.rule());
      }
    }
  }

  private List<PlacedRule> rules(ForwardChain forward) {
    Chain stage1 = forward.sibling(STAGE_1);
    Chain stage2 = forward.sibling(STAGE_2);
    String comment = "CNI firewall plugin rules (ingressPolicy: " + policy.configValue() + ")";
    List<PlacedRule> rules = new ArrayList<>();
    Rule jumpToStage1 = forward.unconditionalRule(SHARED_COMMENT, Verdict.jump(STAGE_1));
    rules.add(new PlacedRule(forward.chain(), jumpToStage1, true));
    Rule leavesBridge = bridgeRule(forward, true, NOT_EQUAL, comment, Verdict.jump(STAGE_2));
    rules.add(new PlacedRule(stage1, leavesBridge, true));
    if (policy == FirewallConfig.IngressPolicy.ISOLATED) {
      Rule staysInBridge = bridgeRule(forward, true, EQUAL, comment, Verdict.DROP);
      rules.add(new PlacedRule(stage1, staysInBridge, true));
    }
    Rule returnToCaller = forward.unconditionalRule(SHARED_COMMENT, Verdict.RETURN);
    rules.add(new PlacedRule(stage1, returnToCaller, false));
    Rule entersBridge = bridgeRule(forward, false, EQUAL, SHARED_COMMENT, Verdict.DROP);
    rules.add(new PlacedRule(stage2, entersBridge, true));
    rules.add(new PlacedRule(stage2, returnToCaller, false));
    return rules;
  }

  /**
   * Returns a rule for packets that are forwarded to the bridge (or, with NOT_EQUAL, elsewhere)
   * and, if {@code fromBridge}, were received from it.
   */
  private Rule bridgeRule(
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

  /** Returns the rules that CHECK requires. */
  List<InstalledRule> expectedRules(ForwardChain forward) {
    return rules(forward).stream()
        .map(placed -> new InstalledRule(placed.chain(), 0, placed.rule()))
        .toList();
  }
}
