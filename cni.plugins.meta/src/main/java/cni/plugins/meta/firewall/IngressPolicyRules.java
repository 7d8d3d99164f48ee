// SPDX-License-Identifier: Apache-2.0
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
import cni.netlink.ffm.nftables.Userdata;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

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

  /**
   * A rule.
   *
   * @param atStart whether it is inserted at the start of its chain, rather than appended
   * @param isShared whether it is not for this bridge alone
   */
  private record PlacedRule(Chain chain, Rule rule, boolean atStart, boolean isShared) {}

  /** Returns the base chain: that of iptables for IP and IP6, that of the own table for INET. */
  static ForwardChain baseChain(TableFamily family) {
    return family == TableFamily.INET
        ? new ForwardChain(NFTABLES_TABLE.chain("forward"), false)
        : ForwardChain.ofIptables(family);
  }

  /** Adds the chains and rules that are missing. */
  void add(RulesetReconciler reconciler, ForwardChain forward) throws IOException {
    ensureChains(reconciler, forward);
    for (PlacedRule placed : rules(forward)) {
      if (placed.atStart()) {
        reconciler.insert(placed.chain(), placed.rule());
      } else {
        reconciler.append(placed.chain(), placed.rule());
      }
    }
  }

  private static void ensureChains(RulesetReconciler reconciler, ForwardChain forward)
      throws IOException {
    if (!forward.isIptables()) {
      reconciler.ensure(forward.chain(), Optional.of(Hook.FILTER_FORWARD), Userdata.NONE);
    }
    reconciler.ensure(forward.sibling(STAGE_1)).ensure(forward.sibling(STAGE_2));
    reconciler.ensure(forward.chain());
  }

  /** Replaces the rules of another policy of the bridge. */
  void replace(RulesetReconciler reconciler, ForwardChain forward, IngressPolicyRules former)
      throws IOException {
    List<PlacedRule> wanted = rules(forward);
    Set<Long> surplus = former.deleteUnless(wanted, reconciler, forward);
    ensureChains(reconciler, forward);
    for (PlacedRule placed : wanted) {
      boolean isInstalled =
          reconciler.rules(placed.chain()).stream()
              .anyMatch(
                  it -> !surplus.contains(it.handle()) && it.rule().isEquivalentTo(placed.rule()));
      if (!isInstalled && placed.atStart()) {
        reconciler.addFirst(placed.chain(), placed.rule());
      } else if (!isInstalled) {
        reconciler.add(placed.chain(), placed.rule());
      }
    }
  }

  /** Deletes the rules of the bridge; the chains and the rules of all bridges stay. */
  void delete(RulesetReconciler reconciler, ForwardChain forward) throws IOException {
    deleteUnless(List.of(), reconciler, forward);
  }

  /** Deletes the rules of the bridge that are not wanted. Returns their handles. */
  private Set<Long> deleteUnless(
      List<PlacedRule> wanted, RulesetReconciler reconciler, ForwardChain forward)
      throws IOException {
    Set<Long> deleted = new HashSet<>();
    for (PlacedRule placed : rules(forward)) {
      boolean isKept =
          placed.isShared()
              || wanted.stream()
                  .anyMatch(
                      it -> it.chain().equals(placed.chain()) && it.rule().equals(placed.rule()));
      for (InstalledRule installed : reconciler.rules(placed.chain())) {
        if (!isKept && installed.rule().equals(placed.rule())) {
          reconciler.delete(installed);
          deleted.add(installed.handle());
        }
      }
    }
    return deleted;
  }

  /** Returns whether a rule jumps to the isolation rules. */
  static boolean isJump(Rule rule) {
    return rule.jumpsTo(STAGE_1);
  }

  private List<PlacedRule> rules(ForwardChain forward) {
    Chain stage1 = forward.sibling(STAGE_1);
    Chain stage2 = forward.sibling(STAGE_2);
    String comment = "CNI firewall plugin rules (ingressPolicy: " + policy.configValue() + ")";
    List<PlacedRule> rules = new ArrayList<>();
    Rule jumpToStage1 = forward.unconditionalRule(SHARED_COMMENT, Verdict.jump(STAGE_1));
    rules.add(new PlacedRule(forward.chain(), jumpToStage1, true, true));
    Rule leavesBridge = bridgeRule(forward, true, NOT_EQUAL, comment, Verdict.jump(STAGE_2));
    rules.add(new PlacedRule(stage1, leavesBridge, true, false));
    if (policy == FirewallConfig.IngressPolicy.ISOLATED) {
      Rule staysInBridge = bridgeRule(forward, true, EQUAL, comment, Verdict.DROP);
      rules.add(new PlacedRule(stage1, staysInBridge, true, false));
    }
    Rule returnToCaller = forward.unconditionalRule(SHARED_COMMENT, Verdict.RETURN);
    rules.add(new PlacedRule(stage1, returnToCaller, false, true));
    Rule entersBridge = bridgeRule(forward, false, EQUAL, SHARED_COMMENT, Verdict.DROP);
    rules.add(new PlacedRule(stage2, entersBridge, true, false));
    rules.add(new PlacedRule(stage2, returnToCaller, false, true));
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
}
