// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.SetElement;
import cni.netlink.ffm.nftables.TableContent;
import cni.netlink.ffm.nftables.TableContent.ChainContent;
import cni.netlink.ffm.nftables.TableContent.SetContent;
import cni.policy.Endpoint;
import cni.policy.Policy;
import cni.policy.PolicyState;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** The difference between states, computed from what changes, and from whole contents. */
class TableChangeTest {
  /** Applied to the content of the state before, each difference gives that of the state after. */
  @Test
  void incrementalDifferenceLeadsToTheContentOfTheStateAfter() throws Exception {
    for (int seed = 0; seed < 20; seed++) {
      var random = new RandomState(seed);
      PolicyState state = random.state(5, 6);
      StateIndex index = StateIndex.of(state);
      for (int step = 0; step < 25; step++) {
        PolicyState next = random.change(state);
        if (random.below(4) == 0) {
          next = random.change(next);
        }
        if (next.endpoints().isEmpty() && next.guards().isEmpty()) {
          continue;
        }
        PolicyTables.Contents before = PolicyTables.compile(state);
        TableChange change = TableChange.apply(index, next, StateChange.between(state, next));
        PolicyTables.Contents after = PolicyTables.compile(next);
        String where = "seed " + seed + " step " + step;
        assertSame(
            after.inet(), patched(before.inet(), change.inetBefore(), change.inetAfter()), where);
        assertSame(
            after.bridge(),
            patched(before.bridge(), change.bridgeBefore(), change.bridgeAfter()),
            where);
        state = next;
      }
    }
  }

  /** Does to a content what {@link TableDifference} does to a table. */
  private static TableContent patched(TableContent table, TableContent before, TableContent after) {
    Map<String, ChainContent> chains = new HashMap<>(table.chains());
    chains.keySet().removeAll(before.chains().keySet());
    chains.putAll(after.chains());
    Map<String, TableContent.NamedLimit> limits = new HashMap<>(table.limits());
    limits.keySet().removeAll(before.limits().keySet());
    limits.putAll(after.limits());
    Map<String, SetContent> sets = new HashMap<>(table.sets());
    before.sets().keySet().stream()
        .filter(it -> !after.sets().containsKey(it))
        .forEach(sets::remove);
    for (SetContent changed : after.sets().values()) {
      String name = changed.set().name();
      Set<SetElement> elements =
          new HashSet<>(sets.containsKey(name) ? sets.get(name).elements() : Set.of());
      SetContent old = before.sets().get(name);
      for (SetElement gone : old == null ? Set.<SetElement>of() : old.elements()) {
        assertEquals(true, elements.remove(gone), "the kernel would not find " + gone);
      }
      for (SetElement added : changed.elements()) {
        assertEquals(true, elements.add(added), "the kernel would have " + added);
      }
      sets.put(name, new SetContent(changed.set(), elements));
    }
    return new TableContent(table.table(), chains, sets, limits);
  }

  static void assertSame(TableContent expected, TableContent actual, String where) {
    assertEquals(elements(expected), elements(actual), where);
    assertEquals(expected.limits(), actual.limits(), where);
    assertEquals(rules(expected), rules(actual), where);
  }

  private static Map<String, Set<SetElement>> elements(TableContent content) {
    Map<String, Set<SetElement>> elements = new TreeMap<>();
    content.sets().forEach((name, set) -> elements.put(name, set.elements()));
    return elements;
  }

  private static Map<String, List<String>> rules(TableContent content) {
    Map<String, List<String>> rules = new TreeMap<>();
    content
        .chains()
        .forEach(
            (name, chain) ->
                rules.put(name, chain.rules().stream().map(TableChangeTest::text).toList()));
    return rules;
  }

  private static String text(Rule rule) {
    return rule.expressions() + " " + rule.userdata();
  }

  @Test
  void contentIsIndependentOfTheOrderOfChanges() throws Exception {
    for (int seed = 0; seed < 10; seed++) {
      PolicyState state = new RandomState(seed).state(6, 12);
      List<Endpoint> endpoints = new java.util.ArrayList<>(state.endpoints().values());
      List<Policy> policies = new java.util.ArrayList<>(state.policies());
      Collections.shuffle(endpoints, new Random(seed));
      PolicyState first = PolicyState.EMPTY;
      for (Policy policy : policies) {
        first = RandomState.with(first, policy);
      }
      for (Endpoint endpoint : endpoints) {
        first = RandomState.with(first, endpoint);
      }
      PolicyState second = PolicyState.EMPTY;
      Collections.shuffle(endpoints, new Random(seed + 1));
      Collections.shuffle(policies, new Random(seed));
      for (Endpoint endpoint : endpoints) {
        second = RandomState.with(second, endpoint);
      }
      for (Policy policy : policies) {
        second = RandomState.with(second, policy);
      }
      PolicyTables.Contents one = PolicyTables.compile(first);
      PolicyTables.Contents other = PolicyTables.compile(second);
      assertSame(one.inet(), other.inet(), "seed " + seed);
      assertSame(one.bridge(), other.bridge(), "seed " + seed);
    }
  }
}
