// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.sbr;

import cni.api.Cidr;
import cni.api.Result;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.plugins.meta.InterfaceRoutes;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * The routes that packets from an address take: those of the interface that concern the address,
 * and a default route by its gateway.
 *
 * @param link the interface
 * @param config the gateways
 */
record SourceRoutes(Link link, SbrConfig config) {
  /** Routes without gateways before those with gateways, which need them. */
  static final Comparator<Route> GATEWAYS_LAST =
      Comparator.comparing(route -> route.hops().getFirst().gateway().isPresent());

  /**
   * Returns the routes that ADD adds to the table of an address. Of two with the same destination
   * and metric the last one counts, since each replaces the one before.
   *
   * @param ofInterface the interface's routes in the main table
   */
  List<Route> select(Result.IpConfig ip, List<Route> ofInterface) {
    Cidr address = ip.address();
    List<Route> selected = new ArrayList<>();
    Optional<InetAddress> gateway = config.gateway(address.isV4()).or(ip::gateway);
    if (gateway.isPresent()) {
      Cidr anywhere = Cidr.defaultRoute(gateway.get());
      selected.add(Route.unicast(anywhere.address(), 0, new Route.Hop(link.index(), gateway)));
    }
    for (Route route : ofInterface) {
      Optional<InetAddress> via = route.hops().getFirst().gateway();
      boolean isLinkRoute = via.isEmpty() && route.source().isEmpty();
      if (isLinkRoute
          || via.filter(address::contains).isPresent()
          || route.source().filter(address::contains).isPresent()) {
        selected.add(route);
      }
    }
    return selected;
  }

  /**
   * Returns the routes of {@link #select} without those that others replace, and those without a
   * gateway first, which the gateways of the others need.
   */
  List<Route> expected(Result.IpConfig ip, List<Route> ofInterface) {
    List<Route> expected = new ArrayList<>();
    for (Route route : select(ip, ofInterface)) {
      expected.removeIf(it -> InterfaceRoutes.isSamePlace(it, route));
      expected.add(route);
    }
    expected.sort(GATEWAYS_LAST);
    return expected;
  }

  /** Returns the link route to the address's network with the address as the preferred source. */
  Route sourceHint(Cidr address) {
    Cidr net = address.network();
    return Route.unicast(net.address(), net.prefix(), new Route.Hop(link.index(), Optional.empty()))
        .withSource(address.address());
  }
}
