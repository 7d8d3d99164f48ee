// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Plans the reversal of committed changes: added rules are deleted, deleted ones are added where
 * they were, created chains and tables are deleted. What others have changed since then stays. If
 * one of the chains has got rules of others, rules and chains that are not the owner's stay as
 * well: the others may rely on them.
 */
final class RulesetUndo {
  private final RulesetReconciler committed;
  private final RulesetEdits edits;
  private final Predicate<InstalledRule> isOwn;
  private final RulesetReconciler now;
  private final Transaction transaction;

  /** The rules of each listed chain that remain when the added ones have been deleted. */
  private final Map<Chain, List<InstalledRule>> remaining = new HashMap<>();

  /**
   * Creates a plan.
   *
   * @param committed the changes
   * @param isOwn matches the rules that only the owner of the changes relies on
   */
  RulesetUndo(
      NftablesSocket nftables, RulesetReconciler committed, Predicate<InstalledRule> isOwn) {
    this.committed = committed;
    this.isOwn = isOwn;
    edits = committed.edits();
    now = new RulesetReconciler(nftables);
    transaction = now.transaction();
  }

  Transaction plan() throws IOException {
    List<InstalledRule> added = new ArrayList<>();
    boolean isShared = false;
    for (Chain chain : committed.listed().keySet()) {
      List<InstalledRule> found = findAdded(chain);
      added.addAll(found);
      isShared |= hasOthers(chain, found);
    }
    for (InstalledRule rule : added) {
      if (!isShared || isOwn.test(rule)) {
        transaction.delete(rule);
        remaining
            .getOrDefault(rule.chain(), new ArrayList<>())
            .removeIf(it -> it.handle() == rule.handle());
      }
    }
    for (Chain chain : edits.removedChains()) {
      transaction.add(chain);
    }
    for (Chain chain : edits.reducedChains()) {
      restoreRules(chain);
    }
    deleteChains(isShared);
    return transaction;
  }

  /** Returns the rules of a chain that the changes have added. */
  private List<InstalledRule> findAdded(Chain chain) throws IOException {
    List<InstalledRule> found = new ArrayList<>();
    List<InstalledRule> rules = new ArrayList<>(now.rules(chain));
    remaining.put(chain, rules);
    List<Rule> sought = new ArrayList<>();
    for (InstalledRule rule : edits.added()) {
      if (rule.chain().equals(chain)) {
        sought.add(rule.rule());
      }
    }
    Set<Long> before = handles(committed.listed().getOrDefault(chain, List.of()));
    for (InstalledRule rule : rules) {
      if (!before.contains(rule.handle()) && removeFirst(sought, rule.rule())) {
        found.add(rule);
      }
    }
    return found;
  }

  private static boolean removeFirst(List<Rule> sought, Rule rule) {
    for (int i = 0; i < sought.size(); i++) {
      if (sought.get(i).userdata().equals(rule.userdata()) && sought.get(i).isEquivalentTo(rule)) {
        sought.remove(i);
        return true;
      }
    }
    return false;
  }

  private static Set<Long> handles(List<InstalledRule> rules) {
    return rules.stream().map(InstalledRule::handle).collect(Collectors.toCollection(HashSet::new));
  }

  /** Returns whether others have added rules to a chain. */
  private boolean hasOthers(Chain chain, List<InstalledRule> added) {
    Set<Long> known = handles(committed.listed().getOrDefault(chain, List.of()));
    known.addAll(handles(added));
    return remaining.getOrDefault(chain, List.of()).stream()
        .anyMatch(rule -> !known.contains(rule.handle()));
  }

  /** Adds the deleted rules of a chain, each before the rule that followed it. */
  private void restoreRules(Chain chain) throws IOException {
    if (!edits.removedChains().contains(chain) && !now.has(chain)) {
      return; // another process has deleted it
    }
    Set<Long> present = handles(remaining.getOrDefault(chain, List.of()));
    List<Rule> pending = new ArrayList<>();
    Optional<InstalledRule> previous = Optional.empty();
    for (InstalledRule rule : committed.listed().getOrDefault(chain, List.of())) {
      Optional<Rule> restoring = edits.restoring(rule);
      if (restoring.isPresent()) {
        pending.add(restoring.get());
      } else if (present.contains(rule.handle())) {
        pending.forEach(deleted -> transaction.insertBefore(rule, deleted));
        pending.clear();
        previous = Optional.of(rule);
      }
    }
    if (previous.isPresent()) {
      InstalledRule last = previous.get();
      pending.reversed().forEach(deleted -> transaction.insertAfter(last, deleted));
    } else {
      pending.forEach(deleted -> transaction.append(chain, deleted));
    }
  }

  private void deleteChains(boolean isShared) throws IOException {
    Set<Chain> deleted = new HashSet<>();
    for (Chain chain : edits.createdChains()) {
      if (now.has(chain) && isUnused(chain) && (!isShared || isOwn(chain))) {
        transaction.delete(chain);
        deleted.add(chain);
      }
    }
    for (Table table : edits.createdTables()) {
      if (now.chains().stream()
          .map(InstalledChain::chain)
          .filter(chain -> chain.table().equals(table))
          .allMatch(deleted::contains)) {
        transaction.delete(table);
      }
    }
  }

  /** Returns whether a chain that the changes have created has had no rules but the owner's. */
  private boolean isOwn(Chain chain) {
    List<InstalledRule> rules =
        edits.added().stream().filter(rule -> rule.chain().equals(chain)).toList();
    return !rules.isEmpty() && rules.stream().allMatch(isOwn);
  }

  /** Returns whether a chain will have no rules and no rule will jump to it. */
  private boolean isUnused(Chain chain) throws IOException {
    if (!remaining.getOrDefault(chain, List.of()).isEmpty()) {
      return false;
    }
    for (InstalledRule rule : now.rules(chain.table())) {
      boolean remains =
          remaining.getOrDefault(rule.chain(), List.of(rule)).stream()
              .anyMatch(it -> it.handle() == rule.handle());
      if (remains && rule.rule().jumpsTo(chain.name())) {
        return false;
      }
    }
    return true;
  }
}
