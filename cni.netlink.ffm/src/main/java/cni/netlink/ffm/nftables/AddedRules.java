// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The rules that are to be added to chains, found by what they do. */
final class AddedRules {
  /** By their hash codes of equivalence. */
  private final Map<Chain, Map<Integer, List<Rule>>> byChain = new HashMap<>();

  /** Returns whether a chain is to get an equivalent rule. */
  boolean contains(Chain chain, Rule rule) {
    return equivalents(chain, rule).stream().anyMatch(rule::isEquivalentTo);
  }

  void add(Chain chain, Rule rule) {
    equivalents(chain, rule).add(rule);
  }

  private List<Rule> equivalents(Chain chain, Rule rule) {
    int hash = rule.equivalenceHash().orElse(0);
    return byChain
        .computeIfAbsent(chain, key -> new HashMap<>())
        .computeIfAbsent(hash, key -> new ArrayList<>());
  }
}
