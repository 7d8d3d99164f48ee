package cni.plugins.support;

import cni.api.Cidr;
import cni.netlink.ffm.route.InterfaceAddress;
import java.io.IOException;
import java.util.List;

/** Conversions of interface addresses from the kernel's form to that of results. */
public final class InterfaceAddresses {
  private InterfaceAddresses() {}

  /** Returns the address with its prefix length. */
  public static Cidr cidr(InterfaceAddress address) {
    return new Cidr(address.address(), address.prefix());
  }

  /** Returns the addresses with their prefix lengths, in order. */
  public static List<Cidr> cidrs(List<InterfaceAddress> addresses) {
    return addresses.stream().map(InterfaceAddresses::cidr).toList();
  }

  /**
   * Lists the addresses of an interface, IPv4 and IPv6.
   *
   * @param link the interface's index
   * @throws IOException if the kernel cannot be queried
   */
  public static List<Cidr> list(NetNsSession netns, int link) throws IOException {
    return cidrs(netns.rtnetlink().addresses(link));
  }
}
