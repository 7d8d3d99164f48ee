// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import cni.api.Differences;
import cni.api.Result;
import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkConstants;
import cni.netlink.ffm.route.LinkRequests;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Hairpin mode of a container's bridge port, which allows the container to reach itself by a mapped
 * port of the host. Usually the host routes such packets back to the bridge. Where br_netfilter
 * passes bridged packets through NAT, the bridge itself sees the container as their new
 * destination, and without hairpin mode does not send a packet out by the port that it came in by.
 */
final class HairpinMode {
  private HairpinMode() {}

  /** Enables hairpin mode on the container's bridge ports that need it. */
  static void enable(NetNsSession host, Result previous) throws IOException {
    for (Link port : ports(host, previous)) {
      host.rtnetlink().execute(LinkRequests.setHairpin(port.index(), true));
    }
  }

  /** Adds a difference for each of the container's bridge ports that needs hairpin mode. */
  static void compare(NetNsSession host, Result previous, Differences differences)
      throws IOException {
    for (Link port : ports(host, previous)) {
      if (!host.rtnetlink().linkSettings(port.index()).hairpin()) {
        differences
            .of(Differences.Kind.LINK_SETTING)
            .add(
                "bridge port "
                    + port.name()
                    + " is not in hairpin mode: the container cannot reach"
                    + " itself by a mapped port",
                "enable hairpin mode of bridge port " + port.name(),
                () -> host.rtnetlink().execute(LinkRequests.setHairpin(port.index(), true)),
                () -> host.rtnetlink().execute(LinkRequests.setHairpin(port.index(), false)));
      }
    }
  }

  /**
   * Returns the container's bridge ports that need hairpin mode: none unless br_netfilter is on.
   */
  private static List<Link> ports(NetNsSession host, Result previous) throws IOException {
    List<Link> ports = new ArrayList<>();
    if (!isBridgeNetfilterOn(host)) {
      return ports;
    }
    for (Result.Interface it : previous.interfaces()) {
      Optional<Link> port =
          it.isOnHost() ? host.rtnetlink().link(it.name()) : Optional.<Link>empty();
      if (port.isEmpty() || !port.get().isKind("veth") || port.get().master() == 0) {
        continue;
      }
      Optional<Link> bridge = host.rtnetlink().link(port.get().master());
      // A promiscuous bridge receives such packets itself; with both they would be delivered twice.
      if (bridge.filter(HairpinMode::isNonPromiscuousBridge).isPresent()) {
        ports.add(port.get());
      }
    }
    return ports;
  }

  private static boolean isNonPromiscuousBridge(Link link) {
    return link.isKind("bridge") && (link.flags() & LinkConstants.IFF_PROMISC) == 0;
  }

  private static boolean isBridgeNetfilterOn(NetNsSession host) throws IOException {
    try {
      return host.<Boolean, IOException>callInside(
          () ->
              isOn("net/bridge/bridge-nf-call-iptables")
                  || isOn("net/bridge/bridge-nf-call-ip6tables"));
    } catch (NoSuchFileException e) {
      return false; // br_netfilter is not loaded
    }
  }

  private static boolean isOn(String key) throws IOException {
    return Sysctl.KERNEL.get(key).equals("1");
  }
}
