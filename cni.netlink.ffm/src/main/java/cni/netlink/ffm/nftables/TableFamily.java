package cni.netlink.ffm.nftables;

import cni.netlink.ffm.MalformedMessageException;
import java.util.Locale;

/** Families of tables: NFPROTO_* of linux/netfilter.h, by the words that nft(8) has for them. */
public enum TableFamily {
  /** IPv4 and IPv6. */
  INET(1),
  /** IPv4. */
  IP(2),
  /** Address resolution. */
  ARP(3),
  /** One device. */
  NETDEV(5),
  /** Bridged frames. */
  BRIDGE(7),
  /** IPv6. */
  IP6(10);

  private final int number;

  TableFamily(int number) {
    this.number = number;
  }

  /** The number that messages have for it. */
  public int number() {
    return number;
  }

  static TableFamily of(int number) throws MalformedMessageException {
    for (TableFamily family : values()) {
      if (family.number == number) {
        return family;
      }
    }
    throw new MalformedMessageException("netfilter family " + number);
  }

  /** As nft writes it: {@code ip6}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
