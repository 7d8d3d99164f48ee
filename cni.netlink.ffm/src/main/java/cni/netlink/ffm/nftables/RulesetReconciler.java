// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Plans the changes that bring the ruleset to a desired state, in {@link NftablesSocket#update}:
 * adds what is missing and deletes only what exists.
 */
public final class RulesetReconciler {
  /**
   * The number of rules from which a chain is flushed instead, if it has no others: the kernel
   * searches the chain for each deleted rule (nft_rule_lookup), 60,000 of them for a minute.
   */
  private static final int MIN_FLUSHED_RULES = 100;

  private final RulesetView view;
  private final boolean listsWholeTables;
  private final RulesetEdits edits = new RulesetEdits();
  private final Transaction transaction = new Transaction();

  /** Whether chains exist after the changes so far, as far as that is known. */
  private final Map<Chain, Boolean> existence = new HashMap<>();

  private final AddedRules addedRules = new AddedRules();

  /**
   * Creates a reconciler without changes. It lists what it needs of the ruleset once, when it is
   * first needed: usually the rules of single chains, since a table of iptables has several chains
   * for each container.
   *
   * @param nftables the socket to list the ruleset with
   */
  public RulesetReconciler(NftablesSocket nftables) {
    this(nftables, false);
  }

  private RulesetReconciler(NftablesSocket nftables, boolean listsWholeTables) {
    view = new RulesetView(nftables);
    this.listsWholeTables = listsWholeTables;
  }

  /**
   * Plans the changes of {@link #update}.
   *
   * @param <E> the exception that ends the update without changes
   */
  @FunctionalInterface
  public interface Planner<E extends Exception> {
    /** Adds the changes to a reconciler. It may be called several times. */
    void plan(RulesetReconciler reconciler) throws IOException, E;
  }

  /**
   * Plans and commits changes as {@link NftablesSocket#update} does. If a chain cannot be deleted
   * because an unexpected chain jumps to it (EBUSY), looks for the jumps in the whole table.
   *
   * @return the reconciler whose changes have been committed
   * @throws NetlinkException if the kernel refuses a change; none has been made
   * @throws IOException if the socket fails
   * @throws E if the planner does
   */
  public static <E extends Exception> RulesetReconciler update(
      NftablesSocket nftables, Planner<E> planner) throws IOException, E {
    try {
      return update(nftables, planner, false);
    } catch (NetlinkException e) {
      if (!e.is(Errno.EBUSY)) {
        throw e;
      }
      return update(nftables, planner, true);
    }
  }

  private static <E extends Exception> RulesetReconciler update(
      NftablesSocket nftables, Planner<E> planner, boolean listsWholeTables) throws IOException, E {
    var last = new RulesetReconciler[1];
    nftables.<E>update(
        socket -> {
          var reconciler = new RulesetReconciler(socket, listsWholeTables);
          last[0] = reconciler;
          planner.plan(reconciler);
          return reconciler.transaction;
        });
    return last[0];
  }

  /** Returns the changes so far. */
  public Transaction transaction() {
    return transaction;
  }

  /** Returns the rules that the changes so far add. */
  public List<InstalledRule> added() {
    return edits.added();
  }

  /** Returns the installed rules that the changes so far delete. */
  public List<InstalledRule> deleted() {
    return edits.deleted();
  }

  RulesetEdits edits() {
    return edits;
  }

  /** Returns the chains whose rules have been listed, with these rules. */
  Map<Chain, List<InstalledRule>> listed() {
    return view.listed();
  }

  /**
   * Returns whether a chain exists after the changes so far.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public boolean has(Chain chain) throws IOException {
    Boolean known = existence.get(chain);
    if (known == null) {
      known = view.exists(chain);
      existence.put(chain, known);
    }
    return known;
  }

  /**
   * Returns the chains of all tables as installed, without the changes so far.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<InstalledChain> chains() throws IOException {
    return view.chains();
  }

  /**
   * Returns the base chains of all tables as installed, without the changes so far.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<InstalledChain> baseChains() throws IOException {
    return view.baseChains();
  }

  /**
   * Returns the tables of all families as installed.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<Table> tables() throws IOException {
    return view.tables();
  }

  /**
   * Returns whether a table is in force and may be changed, see {@link NftablesSocket#isUsable}.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public boolean isUsable(Table table) throws IOException {
    return view.isUsable(table);
  }

  /**
   * Returns the rules of a chain as installed, without the changes so far.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<InstalledRule> rules(Chain chain) throws IOException {
    return view.rules(chain);
  }

  /**
   * Returns the rules of a table as installed, without the changes so far.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<InstalledRule> rules(Table table) throws IOException {
    return view.rules(table);
  }

  /**
   * Returns a listed rule with the elements of the sets that it looks up, which are not listed with
   * it: the rule can be compared, and restored.
   *
   * @param known a rule that looks up sets of the same types
   * @return the rule, or empty if it is not equivalent to the known one
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public Optional<Rule> withSets(InstalledRule rule, Rule known) throws IOException {
    return view.withSets(rule, known);
  }

  /**
   * Adds a chain and its table unless they exist. A chain of iptables gets its hook.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public RulesetReconciler ensure(Chain chain) throws IOException {
    return ensure(chain, Hook.ofBuiltIn(chain), Userdata.NONE);
  }

  /**
   * Adds a chain and its table unless they exist. Adding an existing base chain would count as a
   * change of it: the kernel then delays the next change of an iptables rule until no CPU uses the
   * old ruleset any more, about 16 ms.
   *
   * @param hook the hook of a base chain; empty for a regular chain
   * @param tableComment the comment of the table if it does not exist
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public RulesetReconciler ensure(Chain chain, Optional<Hook> hook, Userdata tableComment)
      throws IOException {
    rules(chain); // needed next, and a chain with rules need not be looked up
    if (!has(chain)) {
      existence.put(chain, true);
      if (!edits.hasCreated(chain.table()) && !view.exists(chain.table())) {
        edits.created(chain.table());
      }
      transaction.add(chain.table(), tableComment);
      if (hook.isEmpty()) {
        transaction.add(chain);
      } else {
        transaction.add(chain, hook.get());
      }
      edits.created(chain);
    }
    return this;
  }

  /**
   * Adds a rule at the end of a chain unless the chain has an equivalent one.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public RulesetReconciler append(Chain chain, Rule rule) throws IOException {
    return recordIfMissing(chain, rule) ? add(chain, rule) : this;
  }

  /**
   * Adds a rule at the beginning of a chain unless the chain has an equivalent one.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public RulesetReconciler insert(Chain chain, Rule rule) throws IOException {
    return recordIfMissing(chain, rule) ? addFirst(chain, rule) : this;
  }

  /**
   * Adds a rule directly after an installed one, or at the beginning of the chain if there is none,
   * unless the chain has an equivalent rule.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public RulesetReconciler insertAfter(Optional<InstalledRule> previous, Chain chain, Rule rule)
      throws IOException {
    if (previous.isEmpty()) {
      return insert(chain, rule);
    }
    if (recordIfMissing(chain, rule)) {
      transaction.insertAfter(previous.get(), rule);
      edits.added(chain, rule);
    }
    return this;
  }

  /** Adds a rule at the end of a chain, whether or not the chain has an equivalent one. */
  public RulesetReconciler add(Chain chain, Rule rule) {
    transaction.append(chain, rule);
    edits.added(chain, rule);
    return this;
  }

  /** Adds a rule at the beginning of a chain, whether or not the chain has an equivalent one. */
  public RulesetReconciler addFirst(Chain chain, Rule rule) {
    transaction.insert(chain, rule);
    edits.added(chain, rule);
    return this;
  }

  /** Records a rule as added unless the chain has an equivalent one. Returns whether it did. */
  private boolean recordIfMissing(Chain chain, Rule rule) throws IOException {
    boolean exists =
        addedRules.contains(chain, rule)
            || view.index(chain).contains(new InstalledRule(chain, 0, rule));
    if (!exists) {
      addedRules.add(chain, rule);
    }
    return !exists;
  }

  /**
   * A rule that a chain shall have.
   *
   * @param group rules of equal groups have to be in the order in which they are given
   */
  public record WantedRule(Object group, Rule rule) {}

  /**
   * Makes the rules of one owner in a chain the given ones. Rules that are installed stay; missing
   * ones are added, and the owner's other rules are deleted.
   *
   * @param candidates the installed rules of the chain that may be the wanted ones, in the order of
   *     the chain
   * @param isSurplus matches those candidates that are deleted unless they are wanted
   */
  public RulesetReconciler arrange(
      Chain chain,
      List<WantedRule> wanted,
      List<InstalledRule> candidates,
      Predicate<InstalledRule> isSurplus) {
    var arrangement = new RuleArrangement(chain, candidates);
    for (RuleArrangement.Addition addition : arrangement.add(wanted)) {
      if (addition.next().isPresent()) {
        transaction.insertBefore(addition.next().get(), addition.rule());
      } else {
        transaction.append(chain, addition.rule());
      }
      edits.added(chain, addition.rule());
    }
    return delete(chain, arrangement.surplus(isSurplus));
  }

  /** Deletes a listed rule. */
  public RulesetReconciler delete(InstalledRule rule) {
    return delete(rule, rule.rule());
  }

  /**
   * Deletes a listed rule.
   *
   * @param content the rule to add in order to restore it; differs from the listed one if that
   *     looks up a set, whose elements are not listed
   */
  public RulesetReconciler delete(InstalledRule rule, Rule content) {
    transaction.delete(rule);
    edits.deleted(rule, content);
    return this;
  }

  /** Deletes listed rules of a chain. Many are deleted by a flush if the chain has no others. */
  public RulesetReconciler delete(Chain chain, List<InstalledRule> doomed) {
    List<InstalledRule> all = view.listed().getOrDefault(chain, List.of());
    if (doomed.size() < MIN_FLUSHED_RULES || doomed.size() < all.size()) {
      doomed.forEach(this::delete);
    } else {
      transaction.flush(chain);
      doomed.forEach(rule -> edits.deleted(rule, rule.rule()));
    }
    return this;
  }

  /**
   * Deletes a chain if it exists, with its rules and those that jump to it.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public RulesetReconciler remove(Chain chain) throws IOException {
    return has(chain) ? remove(chain, view.jumpsTo(chain)) : this;
  }

  /**
   * Deletes a chain if it exists, with its rules and those that jump to it. Its table, which has
   * several chains for each container, is not listed.
   *
   * @param callers the chains that may have rules that jump to it
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public RulesetReconciler removeCalledFrom(List<Chain> callers, Chain chain) throws IOException {
    if (listsWholeTables || !has(chain)) {
      return remove(chain);
    }
    List<InstalledRule> jumping = new ArrayList<>();
    for (Chain caller : callers) {
      rules(caller).stream()
          .filter(rule -> rule.rule().jumpsTo(chain.name()))
          .forEach(jumping::add);
    }
    return remove(chain, jumping);
  }

  private RulesetReconciler remove(Chain chain, List<InstalledRule> jumping) throws IOException {
    existence.put(chain, false);
    for (InstalledRule rule : jumping) {
      if (has(rule.chain()) && edits.restoring(rule).isEmpty()) { // else deleted with its chain
        delete(rule);
      }
    }
    rules(chain).forEach(rule -> edits.deleted(rule, rule.rule()));
    transaction.flush(chain).delete(chain);
    edits.removed(chain);
    return this;
  }
}
