// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.InetAddresses;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RtnetlinkConstants;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** Examines the subnets of networks, those of other networks and those of the host. */
final class SubnetExaminations {
  static final List<Examination> ALL =
      List.of(
          new Examination(FindingKind.SUBNET_OVERLAP, SubnetExaminations::networks),
          new Examination(FindingKind.HOST_SUBNET_OVERLAP, SubnetExaminations::host));

  private SubnetExaminations() {}

  private static void networks(HostView host, Findings findings) throws IOException, CniException {
    for (SubnetOverlap overlap : SubnetOverlap.among(host.networks())) {
      findings.ofNetworks(
          List.of(overlap.network(), overlap.other()),
          overlap.isSameBridge()
              ? "two networks of one bridge give away the same addresses"
              : "two networks have the same addresses: the host routes them to only one",
          overlap.evidence(),
          separate(host, overlap));
    }
  }

  /**
   * Returns what to do about an overlap. A bridge has one gateway, so that a network with another
   * subnet needs a bridge of its own.
   */
  static String separate(HostView host, SubnetOverlap overlap) throws IOException, CniException {
    Path file =
        host.files().stream()
            .filter(it -> it.name().equals(overlap.other()))
            .map(NetworkFile::file)
            .findFirst()
            .orElse(host.locations().networks());
    return "give network %s %s in %s, then: %s"
        .formatted(
            overlap.other(),
            overlap.isSameBridge() ? "a bridge and a subnet of its own" : "another subnet",
            file,
            recreateAll(overlap.other(), overlap.network()));
  }

  /**
   * Returns the command that makes attachments follow the configuration of their network. DEL
   * removes rules for their former addresses, which those of the other network need.
   */
  static String recreateAll(String changed, String neighbour) {
    return "cni update %s --all --recreate; cni repair %s".formatted(changed, neighbour);
  }

  private static void host(HostView host, Findings findings) throws IOException, CniException {
    for (RoutedNetwork network : RoutedNetwork.among(host.networks())) {
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
  private static boolean shadows(HostView host, RoutedNetwork network, Cidr subnet, Route route)
      throws IOException, CniException {
    int bits = InetAddresses.bits(route.destination());
    if (route.table() != RtnetlinkConstants.RT_TABLE_MAIN
        || route.type() != RtnetlinkConstants.RTN_UNICAST
        || route.prefix() == 0
        || route.prefix() == bits
        || !RoutedNetwork.overlap(subnet, new Cidr(route.destination(), route.prefix()))) {
      return false;
    }
    boolean connected = route.hops().getFirst().gateway().isEmpty();
    return (connected || route.prefix() >= subnet.prefix()) && !isOwn(host, network, route);
  }

  private static boolean isOwn(HostView host, RoutedNetwork network, Route route)
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
