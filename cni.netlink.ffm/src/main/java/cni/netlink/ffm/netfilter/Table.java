package cni.netlink.ffm.netfilter;

/**
 * The name of a table.
 *
 * @param family what its chains see
 * @param name its name within the family
 */
public record Table(Family family, String name) {
  /** The name of one of its chains. */
  public Chain chain(String chain) {
    return new Chain(this, chain);
  }

  /** As nft writes it: {@code ip nat}. */
  @Override
  public String toString() {
    return family + " " + name;
  }
}
