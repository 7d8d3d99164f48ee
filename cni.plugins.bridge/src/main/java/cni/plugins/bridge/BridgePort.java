package cni.plugins.bridge;

import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** How a bridge treats one of its ports. */
final class BridgePort {
  private static final int DEFAULT_VLAN = 1;

  private BridgePort() {}

  /** Applies the configuration to a port; says nothing where the kernel's defaults are wanted. */
  static void configure(RouteSocket routing, String port, BridgeConfig config) throws IOException {
    boolean modes = config.hairpinMode() || config.portIsolation();
    if (!modes && !config.vlans().isFiltering()) {
      return;
    }
    int index = routing.links(port).getFirst().index();
    if (modes) {
      routing.execute(
          LinkRequests.setBridgePort(index, config.hairpinMode(), config.portIsolation()));
    }
    setVlans(routing, index, config.vlans());
  }

  /** Lets a port's VLANs through, and no others. */
  static void setVlans(RouteSocket routing, int port, BridgeConfig.PortVlans vlans)
      throws IOException {
    if (!vlans.isFiltering()) {
      return;
    }
    List<NetlinkRequest> requests = new ArrayList<>();
    if (!vlans.keepDefault()) {
      for (int vlan : routing.bridgeVlans(port)) {
        requests.add(LinkRequests.deleteVlan(port, vlan));
      }
    }
    // A trunk without a VLAN of its own treats untagged packets as those of VLAN 1.
    int own = vlans.pvid() == 0 ? DEFAULT_VLAN : vlans.pvid();
    for (int vlan : vlans.tagged()) {
      if (vlan != own) {
        requests.add(LinkRequests.addVlan(port, vlan, false));
      }
    }
    requests.add(LinkRequests.addVlan(port, own, true));
    routing.execute(requests);
  }
}
