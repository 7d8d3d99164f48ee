// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.ExpressionAttributes.*;

import cni.netlink.ffm.NetlinkRequest;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The whole content of a table that one owner has for itself.
 *
 * @param chains the chains by name
 * @param sets the sets and maps by name
 * @param limits the named limits by name
 */
public record TableContent(
    Table table,
    Map<String, ChainContent> chains,
    Map<String, SetContent> sets,
    Map<String, NamedLimit> limits) {
  /** Copies the maps. */
  public TableContent {
    chains = Map.copyOf(chains);
    sets = Map.copyOf(sets);
    limits = Map.copyOf(limits);
  }

  /** Returns the content of a table that is not there. */
  public static TableContent empty(Table table) {
    return new TableContent(table, Map.of(), Map.of(), Map.of());
  }

  /** Returns whether the table need not be there. */
  public boolean isEmpty() {
    return chains.isEmpty() && sets.isEmpty() && limits.isEmpty();
  }

  /**
   * A chain.
   *
   * @param hook where a base chain is called; empty for a regular chain
   * @param rules the rules in their order
   */
  public record ChainContent(Optional<Hook> hook, List<Rule> rules) {
    /** Copies the list. */
    public ChainContent {
      rules = List.copyOf(rules);
    }
  }

  /** A set or map with its elements. */
  public record SetContent(NamedSet set, Set<SetElement> elements) {
    /** Copies the elements. */
    public SetContent {
      elements = Set.copyOf(elements);
    }
  }

  /**
   * A limit that several rules share, an object of the kind NFT_OBJECT_LIMIT. It matches packets
   * above it.
   *
   * @param rate in bytes per second
   * @param burst in bytes
   */
  public record NamedLimit(long rate, long burst) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if a value is not positive, or the burst does not fit into
     *     32 bits
     */
    public NamedLimit {
      if (rate <= 0 || burst < 0 || burst > 0xffff_ffffL) {
        throw new IllegalArgumentException("have a limit of " + rate + " with burst " + burst);
      }
    }

    void write(NetlinkRequest data) {
      data.be64(NFTA_LIMIT_RATE, rate).be64(NFTA_LIMIT_UNIT, 1);
      data.be32(NFTA_LIMIT_BURST, (int) burst);
      data.be32(NFTA_LIMIT_TYPE, NftablesConstants.NFT_LIMIT_PKT_BYTES);
      data.be32(NFTA_LIMIT_FLAGS, NftablesConstants.NFT_LIMIT_F_INV);
    }
  }
}
