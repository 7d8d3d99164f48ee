// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.netlink.ffm.nftables.Expression;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.Expression.XtTarget;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.Rule;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The search for a rule that drops packets before any that may accept them, in the order in which
 * the kernel evaluates rules. A rule that is not understood ends the search: it may accept them.
 */
final class EarlyDrop {
  /** Targets of iptables after which the evaluation continues. */
  private static final Set<String> TRANSPARENT = Set.of("LOG", "NFLOG", "TRACE", "TCPMSS");

  private static final int MAX_DEPTH = 16;

  private final List<InstalledRule> rules;
  private final RuleConditions conditions;

  /** Whether a rule has been met that may accept the packets. */
  private boolean isUndecided;

  private EarlyDrop(List<InstalledRule> rules, ForwardedPackets packets) {
    this.rules = rules;
    this.conditions = new RuleConditions(packets);
  }

  /**
   * Returns the rule.
   *
   * @param rules the rules of a table
   * @param chain the name of its base chain
   */
  static Optional<InstalledRule> find(
      List<InstalledRule> rules, String chain, ForwardedPackets packets) {
    return new EarlyDrop(rules, packets).search(chain, 0);
  }

  private Optional<InstalledRule> search(String chain, int depth) {
    for (InstalledRule it : rules) {
      if (!it.chain().name().equals(chain) || !conditions.mayMatch(it.rule().expressions())) {
        continue;
      }
      boolean isCertain = conditions.mustMatch(it.rule().expressions());
      boolean returns = it.rule().verdict().filter(Verdict.RETURN::equals).isPresent();
      if (returns && isCertain) {
        return Optional.empty();
      }
      Optional<InstalledRule> drop = drop(it, depth);
      if (isUndecided) {
        return Optional.empty();
      }
      if (drop.isPresent() && isCertain) {
        return drop;
      }
    }
    return Optional.empty();
  }

  /** Returns the rule that drops packets which match a rule: that one, or one that it jumps to. */
  private Optional<InstalledRule> drop(InstalledRule installed, int depth) {
    if (drops(installed.rule())) {
      return Optional.of(installed);
    }
    Optional<Verdict> verdict = installed.rule().verdict();
    String target = verdict.map(Verdict::chain).orElse("");
    if (target.isEmpty() || depth == MAX_DEPTH) {
      isUndecided = verdict.isPresent() || !continues(installed.rule());
      return Optional.empty();
    }
    Optional<InstalledRule> found = search(target, depth + 1);
    boolean isGoto = !verdict.equals(Optional.of(Verdict.jump(target)));
    isUndecided |= isGoto && found.isEmpty();
    return found;
  }

  private static boolean drops(Rule rule) {
    return rule.expressions().stream()
        .anyMatch(
            it ->
                it.equals(Verdict.DROP)
                    || it instanceof Expression.Reject
                    || (it instanceof XtTarget target && target.name().equals("REJECT")));
  }

  /** Returns whether a rule without verdict leaves packets to the next one. */
  private static boolean continues(Rule rule) {
    return rule.expressions().stream()
        .noneMatch(
            it ->
                it instanceof Expression.VerdictLookup
                    || it instanceof Expression.Unparsed
                    || (it instanceof XtTarget target && !TRANSPARENT.contains(target.name())));
  }
}
