// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.InetAddresses;
import cni.api.Result.Route;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/** The routes of an {@code ipam} section, {@code routes}. */
public final class ConfiguredRoutes {
  private static final int SCOPE_LINK = 253;

  private ConfiguredRoutes() {}

  /**
   * Reads the routes.
   *
   * @throws CniException code 7 if a value is invalid, a gateway has another family than its
   *     destination, or two routes have the same place in the routing table, which the kernel
   *     refuses with EEXIST
   */
  public static List<Route> parse(ConfigObject ipam) throws CniException {
    List<Route> routes = new ArrayList<>();
    for (ConfigObject source : ipam.objects("routes")) {
      Route route = Route.parse(source);
      boolean isV4 = route.destination().isV4();
      if (route.gateway().filter(it -> InetAddresses.isV4(it) != isV4).isPresent()) {
        throw source.invalid(
            "gw", "is of another family than the destination " + route.destination());
      }
      if (routes.stream().anyMatch(it -> hasSamePlace(it, route))) {
        throw source.invalid(
            "dst", "is the destination of a route before it: keep one, or give it a priority");
      }
      routes.add(route);
    }
    return routes;
  }

  private static boolean hasSamePlace(Route a, Route b) {
    return a.destination().network().equals(b.destination().network())
        && a.priority() == b.priority()
        && a.table().equals(b.table());
  }

  /**
   * Warns of gateways that no route without a gateway leads to. Most interface plugins fail to add
   * such a route: the kernel refuses it.
   *
   * @param networks the networks of the addresses that containers get
   */
  public static void warnOfGateways(ConfigObject ipam, List<Cidr> networks) throws CniException {
    List<Cidr> onLink = new ArrayList<>(networks);
    parse(ipam).stream()
        .filter(ConfiguredRoutes::isOnLink)
        .map(it -> it.destination().network())
        .forEach(onLink::add);
    for (ConfigObject source : ipam.objects("routes")) {
      Optional<InetAddress> gateway = Route.parse(source).gateway();
      if (gateway.isPresent() && !isReachable(gateway.get(), onLink)) {
        source.warn(
            "gw",
            "is in none of the subnets "
                + String.join(", ", networks.stream().map(Cidr::toString).toList())
                + ": the kernel refuses a route by a gateway that it has no route to");
      }
    }
  }

  private static boolean isOnLink(Route route) {
    return route.scope().equals(OptionalInt.of(SCOPE_LINK))
        || route.gateway().filter(InetAddress::isAnyLocalAddress).isPresent();
  }

  private static boolean isReachable(InetAddress gateway, List<Cidr> onLink) {
    return gateway.isAnyLocalAddress()
        || (!InetAddresses.isV4(gateway) && gateway.isLinkLocalAddress())
        || onLink.stream().anyMatch(it -> it.contains(gateway));
  }
}
