package cni.netlink.ffm.nftables;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Plans the changes that bring the ruleset to a desired state, in {@link NftablesSocket#update}:
 * adds what is missing and deletes only what exists.
 */
public final class RulesetReconciler {
  /** The built-in chains of iptables(8) with the hooks that its nf_tables variant gives them. */
  private static final Map<String, Hook> BUILT_IN =
      Map.of(
          "filter FORWARD", Hook.FILTER_FORWARD,
          "nat PREROUTING", Hook.DESTINATION_NAT,
          "nat OUTPUT", Hook.OUTPUT_NAT,
          "nat POSTROUTING", Hook.SOURCE_NAT);

  private final NftablesSocket nftables;
  private final Transaction transaction = new Transaction();
  private final Map<Table, List<InstalledRule>> rules = new HashMap<>();
  private final Map<Chain, List<InstalledRule>> rulesByChain = new HashMap<>();
  private final Map<Chain, RuleIndex> indexes = new HashMap<>();

  /** The rules of a table that jump to a chain, by the name of that chain. */
  private final Map<Table, Map<String, List<InstalledRule>>> jumps = new HashMap<>();

  private Optional<List<InstalledChain>> initialChains = Optional.empty();

  /** Whether chains exist after the changes so far, as far as that is known. */
  private final Map<Chain, Boolean> existence = new HashMap<>();

  private final Map<Chain, AddedRules> addedRules = new HashMap<>();

  /** The rules added to a chain, by their hash codes of equivalence. */
  private record AddedRules(Map<Integer, List<Rule>> byHash) {
    boolean contains(Rule rule) {
      return equivalents(rule).stream().anyMatch(rule::isEquivalentTo);
    }

    List<Rule> equivalents(Rule rule) {
      int hash = rule.equivalenceHash().orElse(0);
      return byHash.computeIfAbsent(hash, key -> new ArrayList<>());
    }
  }

  /**
   * Creates a reconciler without changes. It lists what it needs of the ruleset once, when it is
   * first needed: usually the rules of single chains, since a table of iptables has several chains
   * for each container.
   *
   * @param nftables the socket to list the ruleset with
   */
  public RulesetReconciler(NftablesSocket nftables) {
    this.nftables = nftables;
  }

  /** Returns the changes so far. */
  public Transaction transaction() {
    return transaction;
  }

  /**
   * Returns whether a chain exists after the changes so far.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public boolean has(Chain chain) throws IOException {
    Boolean known = existence.get(chain);
    if (known == null) {
      boolean hasRules = !rulesByChain.getOrDefault(chain, List.of()).isEmpty();
      known = hasRules || (initialChains.isEmpty() && nftables.exists(chain));
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
    if (initialChains.isEmpty()) {
      initialChains = Optional.of(nftables.chains());
      initialChains.get().forEach(chain -> existence.putIfAbsent(chain.chain(), true));
    }
    return initialChains.get();
  }

  /**
   * Returns whether a table is in force and may be changed, see {@link NftablesSocket#isUsable}.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public boolean isUsable(Table table) throws IOException {
    return nftables.isUsable(table);
  }

  /**
   * Returns the rules of a chain as installed, without the changes so far.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<InstalledRule> rules(Chain chain) throws IOException {
    List<InstalledRule> known = rulesByChain.get(chain);
    if (known == null) {
      known = rules.containsKey(chain.table()) ? List.of() : nftables.rules(chain);
      rulesByChain.put(chain, known);
    }
    return known;
  }

  /**
   * Returns the rules of a table as installed, without the changes so far.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<InstalledRule> rules(Table table) throws IOException {
    List<InstalledRule> known = rules.get(table);
    if (known == null) {
      known = nftables.rules(table);
      rules.put(table, known);
      Map<Chain, List<InstalledRule>> byChain = new HashMap<>();
      for (InstalledRule rule : known) {
        byChain.computeIfAbsent(rule.chain(), key -> new ArrayList<>()).add(rule);
      }
      rulesByChain.putAll(byChain);
    }
    return known;
  }

  /**
   * Returns those of the given rules that have no installed equivalent in their chains.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<InstalledRule> findMissing(List<InstalledRule> wanted) throws IOException {
    List<InstalledRule> missing = new ArrayList<>();
    for (InstalledRule rule : wanted) {
      if (!index(rule.chain()).contains(rule)) {
        missing.add(rule);
      }
    }
    return missing;
  }

  private RuleIndex index(Chain chain) throws IOException {
    RuleIndex known = indexes.get(chain);
    if (known == null) {
      known = new RuleIndex(rules(chain));
      indexes.put(chain, known);
    }
    return known;
  }

  /**
   * Adds a chain and its table unless they exist. A chain of iptables gets its hook.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public RulesetReconciler ensure(Chain chain) throws IOException {
    rules(chain); // needed next, and a chain with rules need not be looked up
    if (!has(chain)) {
      existence.put(chain, true);
      transaction.add(chain.table());
      Hook hook = BUILT_IN.get(chain.table().name() + " " + chain.name());
      if (hook == null) {
        transaction.add(chain);
      } else {
        transaction.add(chain, hook);
      }
    }
    return this;
  }

  /**
   * Adds a rule at the end of a chain unless the chain has an equivalent one.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public RulesetReconciler append(Chain chain, Rule rule) throws IOException {
    if (recordIfMissing(chain, rule)) {
      transaction.append(chain, rule);
    }
    return this;
  }

  /**
   * Adds a rule at the beginning of a chain unless the chain has an equivalent one.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public RulesetReconciler insert(Chain chain, Rule rule) throws IOException {
    if (recordIfMissing(chain, rule)) {
      transaction.insert(chain, rule);
    }
    return this;
  }

  /** Records a rule as added unless the chain has an equivalent one. Returns whether it did. */
  private boolean recordIfMissing(Chain chain, Rule rule) throws IOException {
    AddedRules added = addedRules.computeIfAbsent(chain, key -> new AddedRules(new HashMap<>()));
    boolean exists =
        added.contains(rule) || index(chain).contains(new InstalledRule(chain, 0, rule));
    if (!exists) {
      added.equivalents(rule).add(rule);
    }
    return !exists;
  }

  /** Deletes a listed rule. */
  public RulesetReconciler delete(InstalledRule rule) {
    transaction.delete(rule);
    return this;
  }

  /**
   * Deletes a chain if it exists, with its rules and those that jump to it.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public RulesetReconciler remove(Chain chain) throws IOException {
    if (has(chain)) {
      existence.put(chain, false);
      for (InstalledRule rule : jumpsTo(chain)) {
        if (has(rule.chain())) { // else deleted with its chain
          transaction.delete(rule);
        }
      }
      transaction.flush(chain).delete(chain);
    }
    return this;
  }

  private List<InstalledRule> jumpsTo(Chain chain) throws IOException {
    Map<String, List<InstalledRule>> known = jumps.get(chain.table());
    if (known == null) {
      known = new HashMap<>();
      for (InstalledRule rule : rules(chain.table())) {
        String target = rule.rule().verdict().map(Expression.Verdict::chain).orElse("");
        known.computeIfAbsent(target, key -> new ArrayList<>()).add(rule);
      }
      jumps.put(chain.table(), known);
    }
    return known.getOrDefault(chain.name(), List.of());
  }
}
