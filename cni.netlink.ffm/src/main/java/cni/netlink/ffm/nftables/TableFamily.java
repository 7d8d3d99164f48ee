// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.route.IpFamily;
import java.net.InetAddress;
import java.util.Locale;

/** A family of tables, NFPROTO_* of linux/netfilter.h, named as in nft(8). */
public enum TableFamily {
  /** IPv4 and IPv6. */
  INET(1),
  /** IPv4. */
  IP(2),
  /** Address resolution. */
  ARP(3),
  /** The packets of a single device. */
  NETDEV(5),
  /** Bridged frames. */
  BRIDGE(7),
  /** IPv6. */
  IP6(10);

  private final int number;

  TableFamily(int number) {
    this.number = number;
  }

  /** Returns the number in messages, NFPROTO_*. */
  public int number() {
    return number;
  }

  /** Returns {@link #IP} or {@link #IP6}. */
  public static TableFamily of(IpFamily family) {
    return family == IpFamily.IPV4 ? IP : IP6;
  }

  /** Returns the family of an address: {@link #IP} or {@link #IP6}. */
  public static TableFamily of(InetAddress address) {
    return of(IpFamily.of(address));
  }

  static TableFamily ofNumber(int number) throws MalformedMessageException {
    for (TableFamily family : values()) {
      if (family.number == number) {
        return family;
      }
    }
    throw new MalformedMessageException("netfilter family " + number);
  }

  /** Returns the name as nft(8) writes it: {@code ip6}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
