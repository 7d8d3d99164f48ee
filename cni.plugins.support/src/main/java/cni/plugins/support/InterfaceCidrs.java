// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.Cidr;
import cni.netlink.ffm.route.InterfaceAddress;
import java.io.IOException;
import java.util.List;

/** The addresses of interfaces, as the CNI specification writes them. */
public final class InterfaceCidrs {
  private InterfaceCidrs() {}

  /** Converts an address of the kernel. */
  public static Cidr of(InterfaceAddress address) {
    return new Cidr(address.address(), address.prefix());
  }

  /**
   * Lists the addresses of an interface, IPv4 and IPv6.
   *
   * @param link the interface's index
   * @throws IOException if the kernel cannot be queried
   */
  public static List<Cidr> list(NetNsSession netns, int link) throws IOException {
    return netns.rtnetlink().addresses(link).stream().map(InterfaceCidrs::of).toList();
  }
}
