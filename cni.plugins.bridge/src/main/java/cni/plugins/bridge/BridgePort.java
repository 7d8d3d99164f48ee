// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.BridgeVlan;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** The settings of a bridge port: hairpin mode, isolation, VLANs. */
final class BridgePort {
  private BridgePort() {}

  /**
   * Applies the configuration to a port; sends nothing if all settings are the kernel's defaults.
   */
  static void configure(RouteSocket rtnetlink, String port, BridgeConfig config)
      throws IOException {
    boolean modified = config.hairpinMode() || config.portIsolation();
    if (!modified && !config.vlans().isFiltering()) {
      return;
    }
    int index = rtnetlink.links(port).getFirst().index();
    if (modified) {
      rtnetlink.execute(
          LinkRequests.setBridgePort(index, config.hairpinMode(), config.portIsolation()));
    }
    setVlans(rtnetlink, index, config.vlans());
  }

  /** Makes a new port a member of its VLANs and, unless the default VLAN is kept, of no others. */
  static void setVlans(RouteSocket rtnetlink, int port, BridgeConfig.PortVlans vlans)
      throws IOException {
    if (!vlans.isFiltering()) {
      return;
    }
    List<NetlinkRequest> requests = new ArrayList<>();
    if (!vlans.keepDefault()) {
      for (BridgeVlan vlan : rtnetlink.bridgeVlans(port)) {
        requests.add(LinkRequests.deleteVlan(port, vlan.id()));
      }
    }
    for (BridgeVlan vlan : vlans.ofNewPort()) {
      if (vlan.id() != BridgeConfig.DEFAULT_VLAN || vlan.pvid()) { // else it has it already
        requests.add(LinkRequests.addVlan(port, vlan));
      }
    }
    rtnetlink.execute(requests);
  }
}
