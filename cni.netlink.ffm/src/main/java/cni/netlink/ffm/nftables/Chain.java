package cni.netlink.ffm.nftables;

import org.jspecify.annotations.Nullable;

/**
 * The name of a chain.
 *
 * @param table the table that it is in
 * @param name its name there
 */
public record Chain(Table table, String name) {
  /** The family of its table. */
  public TableFamily family() {
    return table.family();
  }

  // A record's own methods are spun when first used, which takes a process some milliseconds.

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Chain it && table.equals(it.table) && name.equals(it.name);
  }

  @Override
  public int hashCode() {
    return 31 * table.hashCode() + name.hashCode();
  }

  /** As nft writes it: {@code ip nat POSTROUTING}. */
  @Override
  public String toString() {
    return table + " " + name;
  }
}
