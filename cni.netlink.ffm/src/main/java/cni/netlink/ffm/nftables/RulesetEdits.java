// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** What the changes of a {@link RulesetReconciler} add and delete, for undoing them. */
final class RulesetEdits {
  private final List<InstalledRule> added = new ArrayList<>();
  private final List<InstalledRule> deleted = new ArrayList<>();

  /** The rules that restore the deleted ones, by chain and handle. */
  private final Map<Chain, Map<Long, Rule>> restoring = new LinkedHashMap<>();

  private final Set<Table> createdTables = new LinkedHashSet<>();
  private final Set<Chain> createdChains = new LinkedHashSet<>();
  private final Set<Chain> removedChains = new LinkedHashSet<>();

  void added(Chain chain, Rule rule) {
    added.add(new InstalledRule(chain, 0, rule));
  }

  /** Records a deletion; {@code content} is the rule to add in order to restore it. */
  void deleted(InstalledRule rule, Rule content) {
    deleted.add(rule);
    restoring.computeIfAbsent(rule.chain(), key -> new HashMap<>()).put(rule.handle(), content);
  }

  void created(Table table) {
    createdTables.add(table);
  }

  void created(Chain chain) {
    createdChains.add(chain);
  }

  void removed(Chain chain) {
    removedChains.add(chain);
  }

  boolean hasCreated(Table table) {
    return createdTables.contains(table);
  }

  /** Returns the rule that restores a deleted one; empty if the rule has not been deleted. */
  Optional<Rule> restoring(InstalledRule rule) {
    return Optional.ofNullable(restoring.getOrDefault(rule.chain(), Map.of()).get(rule.handle()));
  }

  List<InstalledRule> added() {
    return List.copyOf(added);
  }

  List<InstalledRule> deleted() {
    return List.copyOf(deleted);
  }

  /** Returns the chains from which rules have been deleted. */
  Set<Chain> reducedChains() {
    return restoring.keySet();
  }

  Set<Table> createdTables() {
    return createdTables;
  }

  Set<Chain> createdChains() {
    return createdChains;
  }

  Set<Chain> removedChains() {
    return removedChains;
  }
}
