// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import org.jspecify.annotations.Nullable;

/**
 * The name of a chain. For the implementation of {@code equals} see {@link Table}.
 *
 * @param table the table of the chain
 * @param name the name within the table
 */
public record Chain(Table table, String name) {
  /** Returns the family of the table. */
  public TableFamily family() {
    return table.family();
  }

  // Written by hand: the first generated equals or hashCode that a process calls costs 17 % of the
  // time of "cni add" (docs/decisions/0005-image-start.md).

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Chain chain && table.equals(chain.table) && name.equals(chain.name);
  }

  @Override
  public int hashCode() {
    return 31 * table.hashCode() + name.hashCode();
  }

  /** Returns the name as nft(8) writes it: {@code ip nat POSTROUTING}. */
  @Override
  public String toString() {
    return table + " " + name;
  }
}
