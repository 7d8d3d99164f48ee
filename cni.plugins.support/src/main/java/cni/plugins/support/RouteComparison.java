// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.FamilyListing;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RtnetlinkConstants;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/** Comparison of the container's routes with results. Lists the routes of a family once. */
final class RouteComparison {
  private static final int RT_TABLE_UNSPEC = 0;

  /** The metric of the routes to the networks of IPv6 addresses, net/ipv6.h of the kernel. */
  private static final int IP6_RT_PRIO_ADDRCONF = 256;

  private final NetNsSession container;
  private final Link link;
  private final Differences differences;
  private final FamilyListing<Route> listed;

  RouteComparison(NetNsSession container, Link link, Differences differences) {
    this.container = container;
    this.link = link;
    this.differences = differences;
    this.listed = new FamilyListing<>(family -> container.rtnetlink().routes(family));
  }

  /**
   * The routes of a result, and the addresses whose gateways are their default next hops.
   *
   * @param routes the routes
   * @param ips the addresses of the interface
   */
  record Desired(List<Result.Route> routes, List<Result.IpConfig> ips) {}

  /** A route of a result, and what ADD adds for it. */
  private record Wanted(Result.Route route, Route kernel) {
    /** Whether both have the same place in the routing table. */
    boolean replaces(Wanted other) {
      return kernel.hasDestination(other.kernel.destination(), other.kernel.prefix())
          && kernel.table() == other.kernel.table()
          && kernel.priority() == other.kernel.priority();
    }
  }

  /** Requires the route that the kernel adds for the network of an address. */
  void compareNetwork(Cidr address) throws CniException {
    Cidr network = address.network();
    boolean noNetwork = network.prefix() == InetAddresses.bits(network.address());
    if (noNetwork || address.address().isLoopbackAddress()) {
      return; // the only route is that to the address itself, in the local table
    }
    if (routesTo(network).stream().noneMatch(this::isOnLink)) {
      addition(
          "the route to %s, the network of address %s, is missing from interface %s"
              .formatted(network, address, link.name()),
          "add the route to " + network + " on " + link.name(),
          kernelRoute(network, address.address()),
          Errno.EEXIST);
    }
  }

  /** Returns the route as fib_add_ifaddr and addrconf_prefix_route of the kernel add it. */
  Route kernelRoute(Cidr network, InetAddress source) {
    Route route =
        Route.unicast(
                network.address(), network.prefix(), new Route.Hop(link.index(), Optional.empty()))
            .ofKernel();
    return network.isV4()
        ? route.withSource(source)
        : route.withAttributes(IP6_RT_PRIO_ADDRCONF, route.table(), route.scope(), 0, 0);
  }

  private boolean isOnLink(Route route) {
    return route.hops().stream().anyMatch(hop -> hop.link() == link.index());
  }

  /**
   * Compares routes, and deletes those of the current result that are no longer desired. A changed
   * route is replaced.
   */
  void compare(Desired current, Desired desired) throws CniException {
    List<Wanted> before = wanted(current);
    List<Wanted> now = wanted(desired);
    List<Route> kept = new ArrayList<>();
    for (Wanted route : now) {
      boolean isNew = before.stream().noneMatch(it -> it.kernel().equals(route.kernel()));
      List<Route> actual = routesTo(route.route().destination().network());
      Optional<Route> match =
          actual.stream()
              .filter(it -> isNew ? isEqual(it, route.kernel()) : matches(it, route.route()))
              .findFirst();
      if (match.isPresent()) {
        kept.add(match.get());
      } else {
        addOrReplace(route, before, now, actual).ifPresent(kept::add);
      }
    }
    for (Wanted route : before) {
      if (now.stream().noneMatch(it -> it.kernel().equals(route.kernel()))) {
        deleteObsolete(route, kept);
      }
    }
  }

  private List<Wanted> wanted(Desired desired) {
    return desired.routes().stream()
        .map(it -> new Wanted(it, InterfaceConfigurator.route(link.index(), it, desired.ips())))
        .toList();
  }

  /** Returns the replaced route, if one was replaced. */
  private Optional<Route> addOrReplace(
      Wanted route, List<Wanted> before, List<Wanted> now, List<Route> actual) throws CniException {
    String finding =
        "route " + describe(route.route()) + " is missing from the container" + describe(actual);
    Optional<Route> replaced = findReplaced(route, before, now, actual);
    if (replaced.isPresent()) {
      NetlinkRequest undo = replaced.get().inTable(replaced.get().table()).replaceRequest();
      differences.add(
          finding,
          "replace route " + describe(route.route()),
          () -> container.rtnetlink().execute(route.kernel().replaceRequest()),
          () -> container.rtnetlink().execute(undo));
    } else {
      boolean isRestored = before.stream().anyMatch(it -> it.kernel().equals(route.kernel()));
      // A later plugin of the chain may have moved it, with the route to its gateway, to another
      // table, and restores it there.
      int[] ignored =
          isRestored
              ? new int[] {Errno.EEXIST, Errno.ENETUNREACH, Errno.EHOSTUNREACH}
              : new int[] {Errno.EEXIST};
      addition(finding, "add route " + describe(route.route()), route.kernel(), ignored);
    }
    return replaced;
  }

  /** Returns the route that is no longer desired and that a replacement affects alone. */
  private Optional<Route> findReplaced(
      Wanted route, List<Wanted> before, List<Wanted> now, List<Route> actual) throws CniException {
    for (Wanted old : before) {
      boolean isObsolete = now.stream().noneMatch(it -> it.kernel().equals(old.kernel()));
      if (isObsolete && route.replaces(old)) {
        List<Route> found = obsolete(old);
        if (found.size() == 1 && isAlone(found.getFirst(), actual)) {
          return Optional.of(found.getFirst());
        }
      }
    }
    return Optional.empty();
  }

  private static boolean isAlone(Route route, List<Route> actual) {
    return actual.stream()
            .filter(it -> it.table() == route.table() && it.priority() == route.priority())
            .flatMap(it -> it.hops().stream())
            .count()
        == 1;
  }

  private void addition(String finding, String description, Route route, int... ignored) {
    differences.addTentative(
        finding,
        description,
        () -> container.rtnetlink().executeIgnoring(route.addRequest(), ignored),
        () -> delete(route));
  }

  private void deleteObsolete(Wanted route, List<Route> kept) throws CniException {
    for (Route actual : obsolete(route)) {
      boolean isKept = kept.stream().anyMatch(it -> it.partsThrough(link.index()).contains(actual));
      if (!isKept) {
        deletion(describe(route.route()), actual);
      }
    }
  }

  private void deletion(String description, Route route) {
    differences.addTentative(
        "route " + description + " is still in the container, but no longer assigned",
        "delete route " + description,
        () -> delete(route),
        () ->
            container
                .rtnetlink()
                .executeIgnoring(route.inTable(route.table()).addRequest(), Errno.EEXIST));
  }

  /** Deletes a route, and returns whether it existed. */
  private boolean delete(Route route) throws IOException {
    return container.rtnetlink().executeIgnoring(route.deleteRequest(), Errno.ESRCH, Errno.ENODEV);
  }

  /** Returns what exists of a route of the current result, on this interface. */
  private List<Route> obsolete(Wanted route) throws CniException {
    return routesTo(route.route().destination().network()).stream()
        .flatMap(it -> it.partsThrough(link.index()).stream())
        .filter(it -> isEqual(it, route.kernel()))
        .toList();
  }

  List<Route> routesTo(Cidr network) throws CniException {
    List<Route> found = new ArrayList<>();
    for (Route route : list(IpFamily.of(network.address()))) {
      if (route.hasDestination(network.address(), network.prefix())
          && route.table() != RtnetlinkConstants.RT_TABLE_LOCAL) {
        found.add(route);
      }
    }
    return found;
  }

  private List<Route> list(IpFamily family) throws CniException {
    try {
      return listed.of(family);
    } catch (IOException e) {
      throw NetNsSession.failure("listing routes", e);
    }
  }

  private static boolean matches(Route actual, Result.Route expected) {
    int wanted = (int) expected.table().orElse(RT_TABLE_UNSPEC);
    boolean table = wanted == RT_TABLE_UNSPEC || wanted == actual.table();
    boolean priority = expected.priority() == 0 || (int) expected.priority() == actual.priority();
    boolean gateway =
        expected.gateway().isEmpty()
            || actual.hops().stream().anyMatch(hop -> hop.gateway().equals(expected.gateway()));
    return table && priority && gateway;
  }

  /** Whether the kernel's route is what ADD adds. Without a priority IPv6 has a default one. */
  private static boolean isEqual(Route actual, Route added) {
    return actual.table() == added.table()
        && (added.priority() == 0 || added.priority() == actual.priority())
        && actual.hops().contains(added.hops().getFirst())
        && actual.mtu() == added.mtu()
        && actual.advertisedMss() == added.advertisedMss();
  }

  private static String describe(Result.Route route) {
    return route.destination()
        + route.gateway().map(gateway -> " via " + InetAddresses.format(gateway)).orElse("")
        + (route.priority() == 0 ? "" : " metric " + route.priority())
        + (route.table().isEmpty() ? "" : " table " + route.table().getAsLong());
  }

  private static String describe(List<Route> routes) {
    if (routes.isEmpty()) {
      return "";
    }
    return routes.stream()
        .flatMap(route -> route.hops().stream())
        .map(hop -> hop.gateway().map(RouteComparison::via).orElse("on link " + hop.link()))
        .collect(Collectors.joining(", ", "; the routes to this destination go ", ""));
  }

  private static String via(InetAddress gateway) {
    return "via " + InetAddresses.format(gateway);
  }
}
