package cni.plugins.meta.portmap;

import cni.api.Result;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkConstants;
import cni.netlink.ffm.route.LinkRequests;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.util.Optional;

/**
 * Lets a container reach itself by a port of the host. Usually the host routes such packets back to
 * the bridge. But where bridged packets pass the address translation (br_netfilter), the bridge
 * itself finds the container as their destination, and would have to send them out by the port that
 * they came in by.
 */
final class HairpinMode {
  private HairpinMode() {}

  /** Changes the container's port of a bridge, if the host is such a one. */
  static void enable(NetNsSession host, Result previous) throws IOException {
    if (!isBridgeNetfilterOn(host)) {
      return;
    }
    for (Result.Interface it : previous.interfaces()) {
      Optional<Link> port =
          it.isOnHost() ? host.rtnetlink().link(it.name()) : Optional.<Link>empty();
      if (port.isEmpty() || !port.get().isKind("veth") || port.get().master() == 0) {
        continue;
      }
      Optional<Link> bridge = host.rtnetlink().link(port.get().master());
      // A promiscuous bridge takes them itself; with both it would send them twice.
      if (bridge.filter(HairpinMode::isNonPromiscuousBridge).isPresent()) {
        host.rtnetlink().execute(LinkRequests.setHairpin(port.get().index()));
      }
    }
  }

  private static boolean isNonPromiscuousBridge(Link link) {
    return link.isKind("bridge") && (link.flags() & LinkConstants.IFF_PROMISC) == 0;
  }

  private static boolean isBridgeNetfilterOn(NetNsSession host) throws IOException {
    boolean[] on = {false};
    host.runSysctl(
        sysctl -> {
          for (String family : new String[] {"iptables", "ip6tables"}) {
            try {
              on[0] |= sysctl.get("net/bridge/bridge-nf-call-" + family).equals("1");
            } catch (NoSuchFileException e) {
              return; // there is no br_netfilter
            }
          }
        });
    return on[0];
  }
}
