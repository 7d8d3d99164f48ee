package cni.netlink.ffm.netfilter;

/**
 * The name of a chain.
 *
 * @param table the table that it is in
 * @param name its name there
 */
public record Chain(Table table, String name) {
  /** The family of its table. */
  public Family family() {
    return table.family();
  }

  /** As nft writes it: {@code ip nat POSTROUTING}. */
  @Override
  public String toString() {
    return table + " " + name;
  }
}
