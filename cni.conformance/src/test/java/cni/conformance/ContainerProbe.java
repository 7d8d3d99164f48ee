// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import cni.api.Cidr;
import cni.conformance.FaultyPlugin.Call;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.nftables.InstalledChain;
import cni.netlink.ffm.nftables.NftablesSocket;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;

/** Inspects and changes the kernel's state of the containers of calls, for faults. */
final class ContainerProbe {
  private ContainerProbe() {}

  static void addLoopback(Path netns) throws IOException {
    if (!Files.exists(netns)) {
      return;
    }
    try (NetNs open = NetNs.open(netns);
        RouteSocket routing = RouteSocket.open(open)) {
      Cidr address = Cidr.parse("127.0.0.9/8");
      routing.executeIgnoring(
          new InterfaceAddress(1, address.address(), address.prefix()).addRequest(), Errno.EEXIST);
    }
  }

  static void deleteInterface(Call attachment) throws IOException {
    if (!Files.exists(Path.of(attachment.get("CNI_NETNS")))) {
      return;
    }
    try (NetNs netns = NetNs.open(Path.of(attachment.get("CNI_NETNS")));
        RouteSocket routing = RouteSocket.open(netns)) {
      routing.executeIgnoring(LinkRequests.delete(attachment.get("CNI_IFNAME")), Errno.ENODEV);
    }
  }

  static Optional<Link> link(Call call) throws IOException {
    try (NetNs netns = NetNs.open(Path.of(call.get("CNI_NETNS")));
        RouteSocket routing = RouteSocket.open(netns)) {
      return routing.link(call.get("CNI_IFNAME"));
    }
  }

  static boolean hasAddresses(Call call) throws IOException {
    try (NetNs netns = NetNs.open(Path.of(call.get("CNI_NETNS")));
        RouteSocket routing = RouteSocket.open(netns)) {
      Link link = routing.links(call.get("CNI_IFNAME")).getFirst();
      List<Cidr> actual = AddRequirements.addresses(routing, link);
      for (JsonNode ip : call.config().path("prevResult").path("ips")) {
        if (!actual.contains(Cidr.parse(ip.path("address").asString("")))) {
          return false;
        }
      }
      return true;
    }
  }

  static boolean hasRoutes(Call call) throws IOException {
    try (NetNs netns = NetNs.open(Path.of(call.get("CNI_NETNS")));
        RouteSocket routing = RouteSocket.open(netns)) {
      for (JsonNode route : call.config().path("prevResult").path("routes")) {
        Cidr wanted = Cidr.parse(route.path("dst").asString(""));
        IpFamily family = IpFamily.of(wanted.address());
        if (routing.routes(family).stream()
            .noneMatch((Route it) -> it.hasDestination(wanted.address(), wanted.prefix()))) {
          return false;
        }
      }
      return true;
    }
  }

  static boolean hasRules(Call call) throws IOException {
    try (NetNs host = NetNs.open(call.host());
        NftablesSocket nftables = NftablesSocket.open(host)) {
      for (InstalledChain chain : nftables.chains()) {
        if (!nftables.rules(chain.chain()).isEmpty()) {
          return true;
        }
      }
      return false;
    }
  }

  static boolean hasReservations(Call call) throws IOException {
    String directory = call.config().path("ipam").path("dataDir").asString("");
    if (directory.isEmpty()) {
      return true; // the kit's IPAM delegate keeps no files
    }
    try (Stream<Path> files = Files.walk(Path.of(directory))) {
      return files.anyMatch(it -> it.getFileName().toString().matches("10\\.77\\..*"));
    }
  }
}
