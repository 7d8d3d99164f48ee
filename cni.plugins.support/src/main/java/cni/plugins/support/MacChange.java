// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The change of the hardware address of a container's interface that is in use. The kernel
 * announces it by gratuitous ARP and unsolicited neighbour advertisements (inetdev_event and
 * ndisc_netdev_event for NETDEV_CHANGEADDR), so that neighbours do not send to the address before.
 */
public final class MacChange {
  private MacChange() {}

  /**
   * Sets the hardware address.
   *
   * @param container the namespace that has the link
   * @throws IOException if the kernel refuses; the address is then unchanged
   */
  public static void announce(NetNsSession container, Link link, String mac) throws IOException {
    List<String> switches =
        List.of(
            "net/ipv4/conf/" + link.name() + "/arp_notify",
            "net/ipv6/conf/" + link.name() + "/ndisc_notify");
    Map<String, String> before = new LinkedHashMap<>();
    container.runSysctl(sysctl -> switchOn(sysctl, switches, before));
    try {
      container.rtnetlink().execute(LinkRequests.setMac(link.index(), mac));
    } finally {
      if (!before.isEmpty()) {
        container.runSysctl(
            sysctl -> before.forEach((key, value) -> sysctl.setIfPossible(key, value)));
      }
    }
  }

  /** Sets the sysctls that are not 1 and can be set. ADD has set them if there are addresses. */
  private static void switchOn(Sysctl sysctl, List<String> keys, Map<String, String> before) {
    for (String key : keys) {
      try {
        String value = sysctl.get(key);
        if (!value.equals("1") && sysctl.setIfPossible(key, "1").isEmpty()) {
          before.put(key, value);
        }
      } catch (IOException e) {
        // Not accessible: /proc is mounted with subset=pid, or the kernel has no IPv6.
      }
    }
  }
}
