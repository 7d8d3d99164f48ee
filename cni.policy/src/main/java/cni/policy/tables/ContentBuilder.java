// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.netlink.ffm.nftables.NamedSet;
import cni.netlink.ffm.nftables.SetElement;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableContent;
import cni.netlink.ffm.nftables.TableContent.ChainContent;
import cni.netlink.ffm.nftables.TableContent.NamedLimit;
import cni.netlink.ffm.nftables.TableContent.SetContent;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Collects the content of a table, or the part of it that a change concerns. */
final class ContentBuilder {
  private final Table table;
  private final Map<String, ChainContent> chains = new HashMap<>();
  private final Map<String, NamedSet> sets = new HashMap<>();
  private final Map<String, NamedSet> elementSets = new HashMap<>();
  private final Map<String, Set<SetElement>> elements = new HashMap<>();
  private final Map<String, NamedLimit> limits = new HashMap<>();

  ContentBuilder(Table table) {
    this.table = table;
  }

  void add(String chain, ChainContent content) {
    chains.put(chain, content);
  }

  void add(NamedSet set) {
    sets.put(set.name(), set);
  }

  void add(String limit, NamedLimit content) {
    limits.put(limit, content);
  }

  void add(NamedSet set, SetElement element) {
    elementSets.putIfAbsent(set.name(), set);
    elements.computeIfAbsent(set.name(), _ -> new HashSet<>()).add(element);
  }

  /**
   * Completes two parts of a table: a set that only elements were added to is in the table before
   * and after the change.
   */
  static void align(ContentBuilder before, ContentBuilder after) {
    for (ContentBuilder part : List.of(before, after)) {
      for (NamedSet set : part.elementSets.values()) {
        if (!before.sets.containsKey(set.name()) && !after.sets.containsKey(set.name())) {
          before.sets.put(set.name(), set);
          after.sets.put(set.name(), set);
        }
      }
    }
  }

  TableContent build() {
    Map<String, SetContent> contents = new HashMap<>();
    for (NamedSet set : sets.values()) {
      contents.put(set.name(), new SetContent(set, elements.getOrDefault(set.name(), Set.of())));
    }
    return new TableContent(table, chains, contents, limits);
  }
}
