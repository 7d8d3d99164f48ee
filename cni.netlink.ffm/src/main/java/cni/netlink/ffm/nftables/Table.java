package cni.netlink.ffm.nftables;

import org.jspecify.annotations.Nullable;

/**
 * The name of a table.
 *
 * @param family what its chains see
 * @param name its name within the family
 */
public record Table(TableFamily family, String name) {
  /** The name of one of its chains. */
  public Chain chain(String chain) {
    return new Chain(this, chain);
  }

  // A record's own methods are spun when first used, which takes a process some milliseconds.

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Table it && family.equals(it.family) && name.equals(it.name);
  }

  @Override
  public int hashCode() {
    return 31 * family.hashCode() + name.hashCode();
  }

  /** As nft writes it: {@code ip nat}. */
  @Override
  public String toString() {
    return family + " " + name;
  }
}
