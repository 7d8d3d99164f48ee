package cni.plugins.support;

import cni.api.Cidr;
import cni.netlink.ffm.route.InterfaceAddress;
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
}
