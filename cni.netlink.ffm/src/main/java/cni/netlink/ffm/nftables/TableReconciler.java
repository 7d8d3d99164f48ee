// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import cni.netlink.ffm.nftables.TableContent.ChainContent;
import cni.netlink.ffm.nftables.TableContent.NamedLimit;
import cni.netlink.ffm.nftables.TableContent.SetContent;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Turns one content of a table into another by the changes that differ: elements, rules of chains,
 * sets, limits, chains. What is equal in both stays as it is, with its counters.
 *
 * <p>The kernel checks each change of a transaction against the state after those before it:
 * nothing can be deleted that something refers to, and nothing can refer to what is added later.
 * The changes are therefore in this order: rules, elements, sets, limits and chains are deleted;
 * then chains, limits, sets, elements and rules are added.
 *
 * <p>A chain whose rules differ is emptied and filled again. A base chain stays, unless its hook
 * differs. A set or limit that differs in itself is replaced, with the rules that refer to it.
 * Elements of sets with timeouts are left alone.
 */
public final class TableReconciler {
  private final Transaction transaction;
  private final TableContent before;
  private final TableContent after;
  private final Table table;

  /** The sets of before that are deleted, some of which are added again. */
  private final Map<String, NamedSet> deletedSets = new HashMap<>();

  private final Set<String> deletedLimits = new HashSet<>();
  private final Set<String> deletedChains = new HashSet<>();

  private TableReconciler(Transaction transaction, TableContent before, TableContent after) {
    this.transaction = transaction;
    this.before = before;
    this.after = after;
    this.table = after.table();
  }

  /**
   * Appends the changes to a transaction.
   *
   * @param before the present content
   * @param after the content of the same table after the transaction; if it is empty, the table is
   *     deleted
   * @throws IllegalArgumentException if they are contents of different tables
   */
  public static Transaction append(
      Transaction transaction, TableContent before, TableContent after) {
    if (after.isEmpty() && !before.isEmpty()) {
      return transaction.delete(before.table());
    }
    return appendPart(transaction, before, after);
  }

  /**
   * As {@link #append}, for parts of the contents: objects that are in neither part stay, and so do
   * elements of a set. A chain must be there with all its rules. The table is never deleted.
   */
  public static Transaction appendPart(
      Transaction transaction, TableContent before, TableContent after) {
    if (!before.table().equals(after.table())) {
      throw new IllegalArgumentException(
          "cannot change table " + before.table() + " into " + after.table());
    }
    new TableReconciler(transaction, before, after).append();
    return transaction;
  }

  private void append() {
    findDeletions();
    Set<String> refilled = refilledChains();
    for (String name : refilled) {
      if (before.chains().containsKey(name)) {
        transaction.flush(table.chain(name));
      }
    }
    before.sets().forEach(this::deleteElements);
    deletedSets.values().forEach(set -> transaction.delete(table, set));
    deletedLimits.forEach(name -> transaction.deleteLimit(table, name));
    deletedChains.forEach(name -> transaction.delete(table.chain(name)));
    if (before.isEmpty() && !after.isEmpty()) {
      transaction.add(table);
    }
    after.chains().forEach(this::addChain);
    after.limits().forEach(this::addLimit);
    after.sets().forEach(this::addSet);
    after.sets().forEach(this::addElements);
    for (String name : refilled) {
      rules(after, name).forEach(rule -> transaction.append(table.chain(name), rule));
    }
  }

  private void findDeletions() {
    before
        .sets()
        .forEach(
            (name, content) -> {
              SetContent wanted = after.sets().get(name);
              if (wanted == null || !wanted.set().equals(content.set())) {
                deletedSets.put(name, content.set());
              }
            });
    before
        .limits()
        .forEach(
            (name, limit) -> {
              if (!limit.equals(after.limits().get(name))) {
                deletedLimits.add(name);
              }
            });
    before
        .chains()
        .forEach(
            (name, chain) -> {
              ChainContent wanted = after.chains().get(name);
              if (wanted == null || !wanted.hook().equals(chain.hook())) {
                deletedChains.add(name);
              }
            });
  }

  /** Returns the chains whose rules are deleted, added or both. */
  private Set<String> refilledChains() {
    Set<String> names = new HashSet<>();
    for (Map.Entry<String, ChainContent> chain : before.chains().entrySet()) {
      String name = chain.getKey();
      List<Rule> rules = chain.getValue().rules();
      if (deletedChains.contains(name)
          || !rules.equals(rules(after, name))
          || rules.stream().anyMatch(this::refersToDeletion)) {
        names.add(name);
      }
    }
    for (String name : after.chains().keySet()) {
      if (!before.chains().containsKey(name)) {
        names.add(name);
      }
    }
    return names;
  }

  private static List<Rule> rules(TableContent content, String chain) {
    ChainContent found = content.chains().get(chain);
    return found == null ? List.of() : found.rules();
  }

  private boolean refersToDeletion(Rule rule) {
    return hasDeletions() && rule.expressions().stream().anyMatch(this::refersToDeletion);
  }

  private boolean hasDeletions() {
    return !deletedSets.isEmpty() || !deletedLimits.isEmpty() || !deletedChains.isEmpty();
  }

  private boolean refersToDeletion(Expression expression) {
    return switch (expression) {
      case Expression.Lookup lookup -> deletedSets.containsKey(lookup.set());
      case Expression.VerdictLookup lookup -> deletedSets.containsKey(lookup.map());
      case Expression.ObjectReference object -> deletedLimits.contains(object.name());
      case Expression.Verdict verdict -> deletedChains.contains(verdict.chain());
      default -> false;
    };
  }

  /**
   * Deletes the elements that are not wanted. A map that is deleted is emptied first: before Linux
   * 6.4 its elements refer to their chains until the end of the transaction.
   */
  private void deleteElements(String name, SetContent content) {
    NamedSet set = content.set();
    if (deletedSets.containsKey(name)) {
      if (set.isVerdictMap()) {
        transaction.flush(table, set);
      }
      return;
    }
    if (!set.hasTimeouts()) {
      transaction.delete(table, set, difference(content.elements(), elements(after, name)));
    }
  }

  private void addChain(String name, ChainContent chain) {
    if (before.chains().containsKey(name) && !deletedChains.contains(name)) {
      return;
    }
    Optional<Hook> hook = chain.hook();
    if (hook.isPresent()) {
      transaction.add(table.chain(name), hook.get());
    } else {
      transaction.add(table.chain(name));
    }
  }

  private void addLimit(String name, NamedLimit limit) {
    if (!before.limits().containsKey(name) || deletedLimits.contains(name)) {
      transaction.add(table, name, limit);
    }
  }

  private void addSet(String name, SetContent content) {
    if (isNew(name)) {
      transaction.add(table, content.set());
    }
  }

  private boolean isNew(String set) {
    return !before.sets().containsKey(set) || deletedSets.containsKey(set);
  }

  private void addElements(String name, SetContent content) {
    if (content.set().hasTimeouts()) {
      return;
    }
    Set<SetElement> known = isNew(name) ? Set.of() : elements(before, name);
    transaction.add(table, content.set(), difference(content.elements(), known));
  }

  private static Set<SetElement> elements(TableContent content, String set) {
    SetContent found = content.sets().get(set);
    return found == null ? Set.of() : found.elements();
  }

  /** Returns the elements of the first set that are not in the second, which is often the same. */
  @SuppressWarnings("ReferenceEquality")
  private static List<SetElement> difference(Set<SetElement> elements, Set<SetElement> others) {
    List<SetElement> difference = new ArrayList<>();
    if (elements == others) {
      return difference;
    }
    for (SetElement element : elements) {
      if (!others.contains(element)) {
        difference.add(element);
      }
    }
    return difference;
  }
}
