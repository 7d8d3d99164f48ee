// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import cni.netlink.ffm.nftables.RulesetReconciler.WantedRule;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/** Finds which of the wanted rules of a chain are installed, and where the others belong. */
final class RuleArrangement {
  private final Chain chain;
  private final List<InstalledRule> candidates;
  private final RuleIndex index;
  private final Map<Long, Integer> positions = new HashMap<>();
  private final Set<Long> kept = new HashSet<>();

  /**
   * Creates an arrangement.
   *
   * @param candidates the installed rules that may be the wanted ones, in the order of the chain
   */
  RuleArrangement(Chain chain, List<InstalledRule> candidates) {
    this.chain = chain;
    this.candidates = candidates;
    index = new RuleIndex(candidates);
    for (InstalledRule candidate : candidates) {
      positions.put(candidate.handle(), positions.size());
    }
  }

  /**
   * A rule to add.
   *
   * @param next the installed rule that it has to precede; empty for none
   */
  record Addition(Rule rule, Optional<InstalledRule> next) {}

  /** Finds the wanted rules. Returns those that are not installed, or not at their place. */
  List<Addition> add(List<WantedRule> wanted) {
    List<Optional<InstalledRule>> found = new ArrayList<>();
    Map<Object, Integer> last = new HashMap<>();
    for (WantedRule rule : wanted) {
      Optional<InstalledRule> installed = index.take(new InstalledRule(chain, 0, rule.rule()));
      int position = installed.map(it -> positions.getOrDefault(it.handle(), -1)).orElse(-1);
      boolean isInPlace = position > last.getOrDefault(rule.group(), -1);
      if (isInPlace) {
        last.put(rule.group(), position);
        installed.ifPresent(it -> kept.add(it.handle()));
      }
      found.add(isInPlace ? installed : Optional.empty());
    }
    return additions(wanted, found);
  }

  private static List<Addition> additions(
      List<WantedRule> wanted, List<Optional<InstalledRule>> found) {
    List<Addition> additions = new ArrayList<>();
    Map<Object, InstalledRule> next = new HashMap<>();
    for (int i = wanted.size() - 1; i >= 0; i--) {
      Object group = wanted.get(i).group();
      if (found.get(i).isPresent()) {
        next.put(group, found.get(i).get());
      } else {
        Rule rule = wanted.get(i).rule();
        additions.add(new Addition(rule, Optional.ofNullable(next.get(group))));
      }
    }
    return additions.reversed();
  }

  /** Returns the candidates that are not wanted, or not at their place, and match a predicate. */
  List<InstalledRule> surplus(Predicate<InstalledRule> isSurplus) {
    return candidates.stream()
        .filter(rule -> !kept.contains(rule.handle()) && isSurplus.test(rule))
        .toList();
  }
}
