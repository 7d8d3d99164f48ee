// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta;

import cni.api.Cidr;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.plugins.support.InterfaceConfigurator;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.Collectors;

/** The routes of an interface according to a result, for plugins that move them to other tables. */
public final class InterfaceRoutes {
  /** The metric of the route to the network of an IPv6 address (IP6_RT_PRIO_ADDRCONF). */
  private static final int V6_NETWORK_METRIC = 256;

  /** The metric of an IPv6 route that is added without one (IP6_RT_PRIO_USER). */
  private static final int V6_DEFAULT_METRIC = 1024;

  private InterfaceRoutes() {}

  /**
   * Returns the routes of a family that an interface has in the main table: to the networks of its
   * addresses, and those of the result.
   *
   * @param link the interface's index
   * @param ips the interface's addresses
   */
  public static List<Route> of(int link, boolean v4, List<Result.IpConfig> ips, Result result) {
    List<Route> routes = new ArrayList<>();
    for (Result.IpConfig ip : ips) {
      Cidr network = ip.address().network();
      boolean isNetwork = network.prefix() < InetAddresses.bits(network.address());
      if (network.isV4() == v4 && isNetwork) {
        routes.add(networkRoute(link, network, ip.address().address()));
      }
    }
    for (Result.Route route : result.routes()) {
      boolean isMain = isMain(route.table());
      if (isMain && route.destination().isV4() == v4) {
        routes.add(InterfaceConfigurator.route(link, route, ips));
      }
    }
    return routes;
  }

  private static boolean isMain(OptionalLong table) {
    long number = table.orElse(0);
    return number == 0 || number == RtnetlinkConstants.RT_TABLE_MAIN;
  }

  /** Returns the route that the kernel adds with an address. */
  private static Route networkRoute(int link, Cidr network, InetAddress address) {
    return new Route(
        network.address(),
        network.prefix(),
        List.of(new Route.Hop(link, Optional.empty())),
        network.isV4() ? 0 : V6_NETWORK_METRIC,
        RtnetlinkConstants.RT_TABLE_MAIN,
        network.isV4() ? RtnetlinkConstants.RT_SCOPE_LINK : RtnetlinkConstants.RT_SCOPE_UNIVERSE,
        RtnetlinkConstants.RTN_UNICAST,
        0,
        0,
        0,
        RtnetlinkConstants.RTPROT_KERNEL,
        network.isV4() ? Optional.of(address) : Optional.empty());
  }

  /** Whether one of two routes would replace the other in a table. */
  public static boolean isSamePlace(Route a, Route b) {
    return a.hasDestination(b.destination(), b.prefix()) && metric(a) == metric(b);
  }

  /** Whether two routes lead to the same destination by the same next hop. */
  public static boolean isSame(Route a, Route b) {
    return isSamePlace(a, b) && a.hops().equals(b.hops());
  }

  private static int metric(Route route) {
    boolean isV4 = InetAddresses.isV4(route.destination());
    return route.priority() == 0 && !isV4 ? V6_DEFAULT_METRIC : route.priority();
  }

  /** Describes a route for messages. */
  public static String describe(Route route) {
    return "%s/%d%s"
        .formatted(
            InetAddresses.format(route.destination()),
            route.prefix(),
            route
                .hops()
                .getFirst()
                .gateway()
                .map(it -> " via " + InetAddresses.format(it))
                .orElse(""));
  }

  /** Describes routes for messages. */
  public static String describe(List<Route> routes) {
    return routes.stream().map(InterfaceRoutes::describe).collect(Collectors.joining(", "));
  }
}
