// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.sbr;

import cni.api.Cidr;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.plugins.meta.InterfaceRoutes;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The routes of a point-to-point link as the ptp plugin makes them: to the gateway on-link, and to
 * the address's own network through the gateway. A result does not say that a link is one, since a
 * bridge plugin's has the same addresses and gateways; the kernel's links and routes do.
 */
final class PointToPointRoutes {
  private static final String VETH = "veth";

  private final Link link;
  private final RoutingTables tables;
  private final boolean hasRoutingPeer;

  /**
   * Creates the routes of a link.
   *
   * @param host a socket of the host
   */
  PointToPointRoutes(RouteSocket host, Link link, RoutingTables tables) throws IOException {
    this.link = link;
    this.tables = tables;
    this.hasRoutingPeer =
        link.isKind(VETH)
            && host.link(link.linkedIndex())
                .filter(peer -> peer.isKind(VETH) && peer.linkedIndex() == link.index())
                .filter(peer -> peer.master() == 0)
                .isPresent();
  }

  /**
   * Returns the interface's routes of a family according to a result.
   *
   * @param ips the interface's addresses
   */
  List<Route> of(boolean v4, List<Result.IpConfig> ips, Result result) throws IOException {
    List<Route> routes = new ArrayList<>();
    for (Route route : InterfaceRoutes.of(link.index(), v4, ips, result)) {
      Optional<Result.IpConfig> behindGateway = findNetwork(route, ips);
      if (behindGateway.isPresent() && isPointToPoint(behindGateway.get())) {
        addRoutes(behindGateway.get(), routes);
      } else {
        routes.add(route);
      }
    }
    return routes;
  }

  /** Returns the address with a gateway whose network an on-link route leads to. */
  private static Optional<Result.IpConfig> findNetwork(Route route, List<Result.IpConfig> ips) {
    return route.hops().getFirst().gateway().isPresent()
        ? Optional.empty()
        : ips.stream()
            .filter(ip -> ip.gateway().isPresent())
            .filter(ip -> leadsTo(route, ip.address().network()))
            .findFirst();
  }

  /**
   * Whether an address is one of a point-to-point link: no bridge connects the peer, and there is a
   * route to the gateway alone, or no on-link route to the network.
   */
  private boolean isPointToPoint(Result.IpConfig ip) throws IOException {
    if (!hasRoutingPeer) {
      return false;
    }
    List<Route> onLink =
        tables.routes(ip.address().isV4()).stream()
            .filter(it -> it.hops().getFirst().gateway().isEmpty())
            .toList();
    Cidr gateway = Cidr.ofHost(ip.gateway().orElseThrow());
    return onLink.stream().anyMatch(it -> leadsTo(it, gateway))
        || onLink.stream().noneMatch(it -> leadsTo(it, ip.address().network()));
  }

  private static boolean leadsTo(Route route, Cidr network) {
    return route.hasDestination(network.address(), network.prefix());
  }

  private void addRoutes(Result.IpConfig ip, List<Route> routes) {
    InetAddress source = ip.address().address();
    InetAddress gateway = ip.gateway().orElseThrow();
    Cidr network = ip.address().network();
    var onLink = new Route.Hop(link.index(), Optional.empty());
    var throughGateway = new Route.Hop(link.index(), Optional.of(gateway));
    routes.add(Route.unicast(gateway, InetAddresses.bits(gateway), onLink).withSource(source));
    routes.add(
        Route.unicast(network.address(), network.prefix(), throughGateway).withSource(source));
  }
}
