package cni.plugins.bridge;

import cni.netlink.ffm.NetlinkMessage;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.Rtnetlink;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** How a bridge treats one of its ports. */
final class BridgePort {
  private static final int DEFAULT_VLAN = 1;

  private BridgePort() {}

  /** Applies the configuration to a port; says nothing where the kernel's defaults are wanted. */
  static void configure(Rtnetlink routing, String port, BridgeConfig config) throws IOException {
    boolean modes = config.hairpin() || config.isolated();
    if (!modes && !config.vlans().any()) {
      return;
    }
    int index = routing.links(port).getFirst().index();
    if (modes) {
      routing.execute(LinkRequests.setPort(index, config.hairpin(), config.isolated()));
    }
    setVlans(routing, index, config.vlans());
  }

  /** Lets a port's VLANs through, and no others. */
  static void setVlans(Rtnetlink routing, int port, BridgeConfig.PortVlans vlans)
      throws IOException {
    if (!vlans.any()) {
      return;
    }
    List<NetlinkMessage> requests = new ArrayList<>();
    if (!vlans.keepDefault()) {
      for (int vlan : routing.vlans(port)) {
        requests.add(LinkRequests.deleteVlan(port, vlan));
      }
    }
    // A trunk without a VLAN of its own treats untagged packets as those of VLAN 1.
    int own = vlans.own() == 0 ? DEFAULT_VLAN : vlans.own();
    for (int vlan : vlans.trunk()) {
      if (vlan != own) {
        requests.add(LinkRequests.addVlan(port, vlan, false));
      }
    }
    requests.add(LinkRequests.addVlan(port, own, true));
    routing.execute(requests);
  }
}
