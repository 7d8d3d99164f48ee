package cni.netlink.ffm.nftables;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

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
  private Optional<List<InstalledChain>> initialChains = Optional.empty();

  /** The chains after the changes so far. */
  private final Set<Chain> resultingChains = new HashSet<>();

  private final Map<Chain, List<Rule>> addedRules = new HashMap<>();

  /**
   * Creates a reconciler without changes. It lists the chains and the rules of each table once,
   * when they are first needed.
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
    return resultingChains().contains(chain);
  }

  /**
   * Returns the chains of all tables as installed, without the changes so far.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<InstalledChain> chains() throws IOException {
    if (initialChains.isEmpty()) {
      initialChains = Optional.of(nftables.chains());
      initialChains.get().forEach(chain -> resultingChains.add(chain.chain()));
    }
    return initialChains.get();
  }

  private Set<Chain> resultingChains() throws IOException {
    chains();
    return resultingChains;
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
    return rules(chain.table()).stream().filter(rule -> rule.chain().equals(chain)).toList();
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
      if (!isInstalled(rule)) {
        missing.add(rule);
      }
    }
    return missing;
  }

  /** Searches first among the rules with the same user data: most likely it is one of them. */
  private boolean isInstalled(InstalledRule wanted) throws IOException {
    Userdata userdata = wanted.rule().userdata();
    List<InstalledRule> installed = rules(wanted.chain().table());
    return installed.stream()
            .filter(rule -> rule.rule().userdata().equals(userdata))
            .anyMatch(wanted::isEquivalentTo)
        || installed.stream().anyMatch(wanted::isEquivalentTo);
  }

  /**
   * Adds a chain and its table unless they exist. A chain of iptables gets its hook.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public RulesetReconciler ensure(Chain chain) throws IOException {
    if (resultingChains().add(chain)) {
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
    List<Rule> added = addedRules.computeIfAbsent(chain, key -> new ArrayList<>());
    boolean exists =
        added.stream().anyMatch(rule::isEquivalentTo)
            || rules(chain).stream().anyMatch(installed -> installed.rule().isEquivalentTo(rule));
    if (!exists) {
      added.add(rule);
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
    if (resultingChains().remove(chain)) {
      for (InstalledRule rule : rules(chain.table())) {
        boolean isKept = resultingChains.contains(rule.chain()); // else deleted with its chain
        if (isKept && rule.rule().jumpsTo(chain.name())) {
          transaction.delete(rule);
        }
      }
      transaction.flush(chain).delete(chain);
    }
    return this;
  }
}
