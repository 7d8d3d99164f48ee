// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import java.util.List;
import java.util.Map;

/**
 * The content of a table and what its counters have counted.
 *
 * @param content the content
 * @param elements the counts by name of the set and element; of a set without counters zero
 * @param rules the counts by name of the chain, in the order of its rules; of a rule without a
 *     counter zero
 */
public record TableCounters(
    TableContent content,
    Map<String, Map<SetElement, PacketCount>> elements,
    Map<String, List<PacketCount>> rules) {
  /** Copies the maps. */
  public TableCounters {
    elements = Map.copyOf(elements);
    rules = Map.copyOf(rules);
  }
}
