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

/** The installed ruleset, of which each part is listed once, when it is first needed. */
final class RulesetView {
  private final NftablesSocket nftables;
  private final Map<Table, List<InstalledRule>> rules = new HashMap<>();
  private final Map<Chain, List<InstalledRule>> rulesByChain = new HashMap<>();
  private final Map<Chain, RuleIndex> indexes = new HashMap<>();

  /** The rules of a table that jump to a chain, by the name of that chain. */
  private final Map<Table, Map<String, List<InstalledRule>>> jumps = new HashMap<>();

  private final Set<Chain> existing = new HashSet<>();
  private Optional<List<InstalledChain>> chains = Optional.empty();
  private Optional<List<InstalledChain>> baseChains = Optional.empty();

  RulesetView(NftablesSocket nftables) {
    this.nftables = nftables;
  }

  /** Returns the chains whose rules have been listed, with these rules. */
  Map<Chain, List<InstalledRule>> listed() {
    return rulesByChain;
  }

  /** Returns whether a chain is installed. */
  boolean exists(Chain chain) throws IOException {
    if (!rulesByChain.getOrDefault(chain, List.of()).isEmpty()) {
      return true;
    }
    return chains.isPresent() ? existing.contains(chain) : nftables.exists(chain);
  }

  /** Returns whether a table is installed. */
  boolean exists(Table table) throws IOException {
    return nftables.exists(table);
  }

  /** Returns the chains of all tables. */
  List<InstalledChain> chains() throws IOException {
    if (chains.isEmpty()) {
      chains = Optional.of(nftables.chains());
      chains.get().forEach(it -> existing.add(it.chain()));
    }
    return chains.get();
  }

  /** Returns the base chains of all tables. */
  List<InstalledChain> baseChains() throws IOException {
    if (baseChains.isEmpty()) {
      baseChains = Optional.of(nftables.baseChains());
    }
    return baseChains.get();
  }

  /** Returns the tables of all families. */
  List<Table> tables() throws IOException {
    return nftables.tables();
  }

  /**
   * Returns whether a table is in force and may be changed, see {@link NftablesSocket#isUsable}.
   */
  boolean isUsable(Table table) throws IOException {
    return nftables.isUsable(table);
  }

  /** Returns the rules of a chain. */
  List<InstalledRule> rules(Chain chain) throws IOException {
    List<InstalledRule> known = rulesByChain.get(chain);
    if (known == null) {
      known = rules.containsKey(chain.table()) ? List.of() : nftables.rules(chain);
      rulesByChain.put(chain, known);
    }
    return known;
  }

  /** Returns the rules of a table. */
  List<InstalledRule> rules(Table table) throws IOException {
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

  /** Returns the rules of a chain, for finding equivalent ones. */
  RuleIndex index(Chain chain) throws IOException {
    RuleIndex known = indexes.get(chain);
    if (known == null) {
      known = new RuleIndex(rules(chain));
      indexes.put(chain, known);
    }
    return known;
  }

  /** Returns the rules that jump to a chain, from anywhere in its table. */
  List<InstalledRule> jumpsTo(Chain chain) throws IOException {
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

  /** Returns a listed rule with its sets, see {@link RulesetReconciler#withSets}. */
  Optional<Rule> withSets(InstalledRule rule, Rule known) throws IOException {
    if (!rule.rule().isEquivalentTo(known)) {
      return Optional.empty();
    }
    List<Expression> expressions = new ArrayList<>(rule.rule().expressions());
    for (int i = 0; i < expressions.size(); i++) {
      if (expressions.get(i) instanceof Expression.Lookup lookup
          && known.expressions().get(i) instanceof Expression.Lookup same
          && same.content().isPresent()) {
        Set<AnonymousSet.Element> elements = nftables.elements(rule.chain().table(), lookup.set());
        expressions.set(i, same.withElements(elements));
      }
    }
    return Optional.of(new Rule(expressions, rule.rule().userdata()));
  }
}
