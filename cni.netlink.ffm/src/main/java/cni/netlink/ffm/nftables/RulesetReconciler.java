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
 * A change that makes no more of it than is not there yet, and removes no more than is there; to be
 * planned in {@link NftablesSocket#update}. The chains that iptables(8) has by itself it knows.
 */
public final class RulesetReconciler {
  /** Built-in chains of iptables with their places, as its nf_tables variant makes them. */
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
  private final Set<Chain> chains = new HashSet<>();
  private final Map<Chain, List<Rule>> added = new HashMap<>();

  /** Begins with no changes. What is there is listed when it is needed, and then once. */
  public RulesetReconciler(NftablesSocket there) {
    this.nftables = there;
  }

  /** What is to be committed. */
  public Transaction transaction() {
    return transaction;
  }

  /**
   * Whether there is such a chain.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public boolean has(Chain chain) throws IOException {
    return present().contains(chain);
  }

  /**
   * Every chain that was there at the beginning.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public List<InstalledChain> chains() throws IOException {
    if (initialChains.isEmpty()) {
      initialChains = Optional.of(nftables.chains());
      initialChains.get().forEach(chain -> chains.add(chain.chain()));
    }
    return initialChains.get();
  }

  /** The chains that there will be after the changes so far. */
  private Set<Chain> present() throws IOException {
    chains();
    return chains;
  }

  /**
   * Whether a table is in force, and anybody may change it.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public boolean isUsable(Table table) throws IOException {
    return nftables.isUsable(table);
  }

  /**
   * The rules of a chain that are there.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public List<InstalledRule> rules(Chain chain) throws IOException {
    return rules(chain.table()).stream().filter(rule -> rule.chain().equals(chain)).toList();
  }

  /**
   * The rules of a table that are there.
   *
   * @throws IOException if the kernel cannot be asked
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
   * Those of the rules that are not there.
   *
   * @throws IOException if the kernel cannot be asked
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

  /** Those first that have the same written on them: it is most likely one of them. */
  private boolean isInstalled(InstalledRule wanted) throws IOException {
    Userdata userdata = wanted.rule().userdata();
    List<InstalledRule> there = rules(wanted.chain().table());
    return there.stream()
            .filter(rule -> rule.rule().userdata().equals(userdata))
            .anyMatch(wanted::isEquivalentTo)
        || there.stream().anyMatch(wanted::isEquivalentTo);
  }

  /**
   * Sees to it that there is a chain, and its table.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public RulesetReconciler ensure(Chain chain) throws IOException {
    if (present().add(chain)) {
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
   * Sees to it that a chain has a rule; a new one is its last.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public RulesetReconciler append(Chain chain, Rule rule) throws IOException {
    if (isNew(chain, rule)) {
      transaction.append(chain, rule);
    }
    return this;
  }

  /**
   * Sees to it that a chain has a rule; a new one is its first.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public RulesetReconciler insert(Chain chain, Rule rule) throws IOException {
    if (isNew(chain, rule)) {
      transaction.insert(chain, rule);
    }
    return this;
  }

  private boolean isNew(Chain chain, Rule rule) throws IOException {
    List<Rule> ours = added.computeIfAbsent(chain, it -> new ArrayList<>());
    boolean known =
        ours.stream().anyMatch(rule::isEquivalentTo)
            || rules(chain).stream().anyMatch(it -> it.rule().isEquivalentTo(rule));
    if (!known) {
      ours.add(rule);
    }
    return !known;
  }

  /** Deletes a rule that was listed. */
  public RulesetReconciler delete(InstalledRule rule) {
    transaction.delete(rule);
    return this;
  }

  /**
   * Sees to it that there is no such chain, with its rules and those that lead to it.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public RulesetReconciler remove(Chain chain) throws IOException {
    if (present().remove(chain)) {
      for (InstalledRule rule : rules(chain.table())) {
        boolean kept = chains.contains(rule.chain()); // those of a removed chain go with it
        if (kept && rule.rule().jumpsTo(chain.name())) {
          transaction.delete(rule);
        }
      }
      transaction.flush(chain).delete(chain);
    }
    return this;
  }
}
