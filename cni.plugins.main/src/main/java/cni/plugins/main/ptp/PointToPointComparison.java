// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.ptp;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Differences.Kind;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.FamilyListing;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.plugins.main.InterfaceComparison;
import cni.plugins.support.Forwarding;
import cni.plugins.support.InterfaceCidrs;
import cni.plugins.support.LinkComparison;
import cni.plugins.support.VethMtuComparison;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * The comparison of a {@link PointToPointLink} with its desired state: both ends, their addresses
 * and routes, and forwarding on the host. What is new is added before what is obsolete is deleted.
 */
final class PointToPointComparison {
  private static final String VETH = "veth";

  private final InterfaceComparison comparison;
  private final List<Result.IpConfig> current;
  private final List<Result.IpConfig> desired;
  private final FamilyListing<Route> hostRoutes;

  PointToPointComparison(InterfaceComparison comparison) throws CniException {
    this.comparison = comparison;
    this.current = comparison.currentIps();
    this.desired = comparison.ips();
    this.hostRoutes = new FamilyListing<>(family -> comparison.host().rtnetlink().routes(family));
  }

  /**
   * Compares everything.
   *
   * @param mtuBefore the MTU of the current configuration in bytes, 0 for the kernel's default
   * @param mtu the MTU of the desired configuration in bytes, 0 for the kernel's default
   * @throws CniException code 7 if a new address has no gateway
   */
  void run(int mtuBefore, int mtu) throws CniException, IOException {
    PointToPointLink.requireGateways(desired.stream().filter(this::isNew).toList());
    Optional<Link> found = comparison.find(VETH);
    if (found.isEmpty()) {
      return;
    }
    Link containerEnd = found.get();
    Optional<Link> hostEnd = findHostEnd(containerEnd);
    if (mtuBefore != mtu) {
      comparison.requireMtuForIpv6();
    }
    var mtus = VethMtuComparison.of(mtuBefore, mtu, comparison.request().desired().context());
    mtus.compareContainerEnd(comparison.links(), containerEnd, hostEnd);
    if (hostEnd.isPresent()) {
      compareHostLink(hostEnd.get());
      mtus.compareHostEnd(hostLinks(), hostEnd.get(), containerEnd);
    }
    comparison.links().compareUp(containerEnd);
    Forwarding.compare(comparison.host(), desired, comparison.differences());
    if (hostEnd.isPresent()) {
      Forwarding.compareLink(comparison.host(), hostEnd.get(), desired, comparison.differences());
      compareHostAddresses(hostEnd.get());
    }
    compareContainer(containerEnd);
    if (hostEnd.isPresent()) {
      compareObsoleteOnHost(hostEnd.get());
    }
  }

  private boolean isNew(Result.IpConfig ip) {
    return !current.contains(ip);
  }

  private Optional<Link> findHostEnd(Link containerEnd) throws IOException {
    Optional<Link> hostEnd =
        comparison
            .host()
            .rtnetlink()
            .link(containerEnd.linkedIndex())
            .filter(link -> link.isKind(VETH) && link.linkedIndex() == containerEnd.index());
    if (hostEnd.isEmpty()) {
      unchangeable("the peer of " + containerEnd.name() + " in the container is not on the host");
    } else if (comparison.result().find(hostEnd.get().name(), "").isEmpty()) {
      unchangeable(
          "the peer of %s is %s, which prevResult does not name"
              .formatted(containerEnd.name(), hostEnd.get().name()));
      return Optional.empty();
    }
    return hostEnd;
  }

  private void unchangeable(String finding) {
    comparison.differences().of(Kind.INTERFACE).addUnchangeable(finding);
  }

  private LinkComparison hostLinks() {
    return LinkComparison.onHost(comparison.host(), comparison.differences());
  }

  private void compareHostLink(Link hostEnd) {
    hostLinks()
        .compareMac(hostEnd, comparison.result().find(hostEnd.name(), "").orElseThrow().mac());

    hostLinks().compareUp(hostEnd);
  }

  private void compareHostAddresses(Link hostEnd) throws IOException {
    List<Cidr> present = InterfaceCidrs.list(comparison.host(), hostEnd.index());
    for (Cidr gateway : gateways(desired)) {
      if (!present.contains(gateway)) {
        change(
            Kind.ADDRESS,
            "interface %s on the host does not have the gateway's address %s; it has %s"
                .formatted(hostEnd.name(), InetAddresses.format(gateway.address()), present),
            "add address %s to %s".formatted(gateway, hostEnd.name()),
            PointToPointLink.gatewayAddress(hostEnd, gateway).addRequest(),
            PointToPointLink.gatewayAddress(hostEnd, gateway).deleteRequest());
      }
    }
    for (Result.IpConfig ip : desired) {
      Route route = PointToPointLink.routeToContainer(hostEnd, ip);
      if (!hasRoute(hostEnd, route)) {
        Cidr address = Cidr.ofHost(ip.address().address());
        change(
            Kind.ROUTE,
            "the host has no route to %s by interface %s".formatted(address, hostEnd.name()),
            "add the route to %s by %s".formatted(address, hostEnd.name()),
            route.addRequest(),
            route.deleteRequest());
      }
    }
  }

  private static List<Cidr> gateways(List<Result.IpConfig> ips) {
    return ips.stream().flatMap(ip -> ip.gateway().stream()).map(Cidr::ofHost).distinct().toList();
  }

  private boolean hasRoute(Link hostEnd, Route wanted) throws IOException {
    return hostRoutes.of(IpFamily.of(wanted.destination())).stream()
        .filter(route -> route.table() == RtnetlinkConstants.RT_TABLE_MAIN)
        .filter(route -> route.hasDestination(wanted.destination(), wanted.prefix()))
        .anyMatch(route -> route.hops().stream().anyMatch(hop -> hop.link() == hostEnd.index()));
  }

  private void compareContainer(Link containerEnd) throws CniException {
    var addresses = comparison.addresses(containerEnd);
    var routes = new ContainerRouteComparison(comparison, containerEnd, addresses);
    routes.compareBeforeAddresses(current, desired);
    addresses.compareAddresses(desired);
    routes.compare(current, desired);
    comparison.compareRoutes(addresses);
    routes.compareObsolete(current, desired);
    addresses.compareObsolete(current, desired);
    routes.compareAfterAddresses(current, desired);
  }

  /** Adds the deletion of what the host's end has for addresses that are no longer desired. */
  private void compareObsoleteOnHost(Link hostEnd) throws IOException {
    List<Result.IpConfig> obsolete = current.stream().filter(ip -> !desired.contains(ip)).toList();
    if (obsolete.isEmpty()) {
      return;
    }
    List<Result.IpConfig> kept = desired;
    for (Result.IpConfig ip : obsolete) {
      Route route = PointToPointLink.routeToContainer(hostEnd, ip);
      boolean isKept =
          kept.stream().anyMatch(it -> it.address().address().equals(ip.address().address()));
      if (!isKept && hasRoute(hostEnd, route)) {
        String address = Cidr.ofHost(ip.address().address()).toString();
        change(
            Kind.ROUTE,
            "the host has a route to %s, which is no longer assigned".formatted(address),
            "delete the route to %s by %s".formatted(address, hostEnd.name()),
            route.deleteRequest(),
            route.addRequest());
      }
    }
    List<Cidr> present = InterfaceCidrs.list(comparison.host(), hostEnd.index());
    for (Cidr gateway : gateways(obsolete)) {
      if (!gateways(desired).contains(gateway) && present.contains(gateway)) {
        change(
            Kind.ADDRESS,
            "interface %s on the host has address %s, which is no longer a gateway"
                .formatted(hostEnd.name(), gateway),
            "delete address %s from %s".formatted(gateway, hostEnd.name()),
            PointToPointLink.gatewayAddress(hostEnd, gateway).deleteRequest(),
            PointToPointLink.gatewayAddress(hostEnd, gateway).addRequest());
      }
    }
  }

  /** Adds a change of the host, unless it has been made meanwhile. */
  private void change(
      Kind kind, String finding, String description, NetlinkRequest apply, NetlinkRequest undo) {
    int[] ignored = {Errno.EEXIST, Errno.ESRCH, Errno.EADDRNOTAVAIL};
    comparison
        .differences()
        .of(kind)
        .addTentative(
            finding,
            description,
            () -> comparison.host().rtnetlink().executeIgnoring(apply, ignored),
            () -> comparison.host().rtnetlink().executeIgnoring(undo, ignored));
  }
}
