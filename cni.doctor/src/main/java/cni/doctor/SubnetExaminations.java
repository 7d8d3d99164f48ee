package cni.doctor;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.InetAddresses;
import cni.api.PluginConfig;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.runtime.Network;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Examines the subnets of networks, those of other networks and those of the host. */
final class SubnetExaminations {
  static final List<Examination> ALL =
      List.of(
          new Examination(FindingKind.SUBNET_OVERLAP, SubnetExaminations::networks),
          new Examination(FindingKind.HOST_SUBNET_OVERLAP, SubnetExaminations::host));

  private SubnetExaminations() {}

  /**
   * The subnets that the host routes to a network.
   *
   * @param network the network's name
   * @param bridge the bridge that they are behind; empty if there is none
   * @param subnets the subnets
   */
  private record Routed(String network, String bridge, List<Cidr> subnets) {}

  /** Returns the networks whose gateway is the host: the bridge's, and those of ptp. */
  private static List<Routed> routed(HostView host) throws IOException, CniException {
    List<Routed> all = new ArrayList<>();
    for (Network network : host.networks()) {
      Optional<HostLocalRanges> ranges = HostView.ranges(network);
      Optional<PluginConfig> bridge = HostView.plugin(network, "bridge");
      boolean isRouted =
          bridge.isPresent()
              ? BridgeExaminations.isGateway(bridge.get())
              : HostView.plugin(network, "ptp").isPresent();
      if (ranges.isPresent() && isRouted) {
        String name = bridge.isPresent() ? BridgeExaminations.bridgeName(bridge.get()) : "";
        all.add(new Routed(network.name(), name, ranges.get().subnets()));
      }
    }
    return all;
  }

  private static boolean overlap(Cidr one, Cidr other) {
    return one.isV4() == other.isV4()
        && (one.contains(other.network().address()) || other.contains(one.network().address()));
  }

  private static void networks(HostView host, Findings findings) throws IOException, CniException {
    List<Routed> all = routed(host);
    for (int i = 0; i < all.size(); i++) {
      for (Routed other : all.subList(i + 1, all.size())) {
        reportOverlaps(all.get(i), other, findings);
      }
    }
  }

  /** Networks of the same bridge may share a subnet, of which each has a part. */
  private static void reportOverlaps(Routed one, Routed other, Findings findings) {
    if (!one.bridge().isEmpty() && one.bridge().equals(other.bridge())) {
      return;
    }
    for (Cidr subnet : one.subnets()) {
      for (Cidr otherSubnet : other.subnets()) {
        if (overlap(subnet, otherSubnet)) {
          findings.ofNetworks(
              List.of(one.network(), other.network()),
              "two networks have the same addresses: the host routes them to only one",
              "%s of %s and %s of %s overlap"
                  .formatted(subnet, one.network(), otherSubnet, other.network()),
              "give one of them another subnet, and attach its containers again");
        }
      }
    }
  }

  private static void host(HostView host, Findings findings) throws IOException, CniException {
    for (Routed network : routed(host)) {
      for (Route route : host.kernel().routes()) {
        for (Cidr subnet : network.subnets()) {
          if (shadows(host, network, subnet, route)) {
            String link = linkName(host, route);
            findings.ofNetwork(
                network.network(),
                "the host has other addresses of the network's subnet behind another link",
                "ip route: %s/%d dev %s; the network has %s"
                    .formatted(
                        InetAddresses.format(route.destination()), route.prefix(), link, subnet),
                "give the network a subnet that is free here, and attach its containers again");
          }
        }
      }
    }
  }

  /**
   * Returns whether a route leads to another link although it is about addresses of the subnet: it
   * is that of a connected network, or at least as specific as the subnet. Routes to single
   * addresses matter only if a container has the address.
   */
  private static boolean shadows(HostView host, Routed network, Cidr subnet, Route route)
      throws IOException, CniException {
    int bits = InetAddresses.bits(route.destination());
    if (route.table() != RtnetlinkConstants.RT_TABLE_MAIN
        || route.type() != RtnetlinkConstants.RTN_UNICAST
        || route.prefix() == 0
        || route.prefix() == bits
        || !overlap(subnet, new Cidr(route.destination(), route.prefix()))) {
      return false;
    }
    boolean connected = route.hops().getFirst().gateway().isEmpty();
    return (connected || route.prefix() >= subnet.prefix()) && !isOwn(host, network, route);
  }

  private static boolean isOwn(HostView host, Routed network, Route route)
      throws IOException, CniException {
    if (!network.bridge().isEmpty()) {
      return linkName(host, route).equals(network.bridge());
    }
    int index = route.hops().getFirst().link();
    for (AttachmentView attachment : host.present()) {
      if (attachment.hostLink().filter(it -> it.index() == index).isPresent()) {
        return true;
      }
    }
    return false;
  }

  private static String linkName(HostView host, Route route) throws IOException, CniException {
    int index = route.hops().getFirst().link();
    return host.kernel().link(index).map(Link::name).orElse("?");
  }
}
