// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import org.jspecify.annotations.Nullable;

/**
 * The name of a table.
 *
 * <p>The names and user data of this package implement {@code equals} and {@code hashCode} by hand.
 * Those that the JDK generates for a record are linked with method handles when they are first
 * called, which takes about 5 ms for the first record of a process and 1 ms for each other: with
 * the eight that the first ADD of a chain reached, about a tenth of a {@code cni add} of 120 ms.
 *
 * @param family the family of the table
 * @param name the name within the family
 */
public record Table(TableFamily family, String name) {
  /** Returns the name of a chain of this table. */
  public Chain chain(String chain) {
    return new Chain(this, chain);
  }

  // Written by hand: the first generated equals or hashCode that a process calls costs 17 % of the
  // time of "cni add" (docs/decisions/0005-image-start.md).

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Table table && family.equals(table.family) && name.equals(table.name);
  }

  @Override
  public int hashCode() {
    return 31 * family.hashCode() + name.hashCode();
  }

  /** Returns the name as nft(8) writes it: {@code ip nat}. */
  @Override
  public String toString() {
    return family + " " + name;
  }
}
