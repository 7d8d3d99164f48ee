// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.ptp;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.plugins.main.InterfaceComparison;
import cni.plugins.support.AddressComparison;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The comparison of the routes that a container needs for the addresses of a {@link
 * PointToPointLink}: to the gateway, and through it to the network. The kernel adds a direct route
 * to the network whenever an address becomes the primary one of the interface or the interface is
 * set up, which ptp deletes.
 */
final class ContainerRouteComparison {
  private final InterfaceComparison comparison;
  private final Link link;
  private final AddressComparison listed;
  private final Differences differences;

  /**
   * Creates the comparison.
   *
   * @param link the container's end
   * @param listed has the container's routes
   */
  ContainerRouteComparison(InterfaceComparison comparison, Link link, AddressComparison listed) {
    this.comparison = comparison;
    this.link = link;
    this.listed = listed;
    Differences ofRoutes = comparison.differences().of(Differences.Kind.ROUTE);
    this.differences = link.isUp() ? ofRoutes : ofRoutes.following(comparison.links().isDown(link));
  }

  private RouteSocket rtnetlink() throws IOException {
    return comparison.container().rtnetlink();
  }

  private List<Route> routes(Result.IpConfig ip) {
    return ip.gateway().isEmpty() ? List.of() : PointToPointLink.routesOfContainer(link, ip);
  }

  private List<Route> routes(List<Result.IpConfig> ips) {
    return ips.stream().flatMap(ip -> routes(ip).stream()).toList();
  }

  /** Requires the routes of the desired addresses. */
  void compare(List<Result.IpConfig> current, List<Result.IpConfig> desired) throws CniException {
    List<Route> obsolete = new ArrayList<>(routes(current));
    obsolete.removeAll(routes(desired));
    for (Result.IpConfig ip : desired) {
      if (!wereMoved(ip)) {
        // The routes of an address that is missing may be there, without their source (IPv6).
        boolean isNew = !current.contains(ip) || !listed.isPresent(ip);
        for (Route route : routes(ip)) {
          compareRoute(ip, route, isNew ? equivalents(route, desired) : List.of(), obsolete);
        }
      }
    }
  }

  /**
   * Returns the routes of which the kernel keeps one: of IPv6 routes that differ only in their
   * source, the first that was added (fib6_add_rt2node in net/ipv6/ip6_fib.c).
   */
  private List<Route> equivalents(Route route, List<Result.IpConfig> desired) {
    return IpFamily.of(route.destination()) == IpFamily.IPV4
        ? List.of(route)
        : routes(desired).stream()
            .filter(it -> it.hasDestination(route.destination(), route.prefix()))
            .filter(it -> hasSameHop(it, route))
            .toList();
  }

  /** Whether a later plugin of the chain has moved the interface to a VRF. */
  private boolean wereMoved(Result.IpConfig ip) throws CniException {
    return listed.routesTo(ip.address().network()).stream()
        .anyMatch(
            route ->
                route.table() != RtnetlinkConstants.RT_TABLE_MAIN
                    && route.hops().contains(new Route.Hop(link.index(), Optional.empty())));
  }

  /**
   * Compares one route.
   *
   * @param wanted the routes of which one is required; empty if the source does not matter
   */
  private void compareRoute(
      Result.IpConfig ip, Route route, List<Route> wanted, List<Route> obsolete)
      throws CniException {
    var destination = new Cidr(route.destination(), route.prefix());
    List<Route> actual =
        listed.routesTo(destination).stream()
            .flatMap(it -> it.partsThrough(link.index()).stream())
            .toList();
    boolean isPresent =
        actual.stream()
            .anyMatch(
                it ->
                    wanted.isEmpty()
                        ? hasSameHop(it, route)
                        : wanted.stream().anyMatch(one -> isEqual(it, one)));
    if (!isPresent) {
      addRoute(ip, route, actual, obsolete, wanted.isEmpty());
    } else if (hasGateway(route) && actual.stream().anyMatch(this::isDirect)) {
      deleteDirect(ip, destination);
    }
  }

  private static boolean hasGateway(Route route) {
    return route.hops().getFirst().gateway().isPresent();
  }

  private boolean isDirect(Route route) {
    return route.protocol() == RtnetlinkConstants.RTPROT_KERNEL && !hasGateway(route);
  }

  private void addRoute(
      Result.IpConfig ip,
      Route route,
      List<Route> actual,
      List<Route> obsolete,
      boolean isRestored) {
    var destination = new Cidr(route.destination(), route.prefix());
    String role = hasGateway(route) ? "network" : "gateway";
    String finding =
        "the route to %s, the %s of address %s, is missing from interface %s"
            .formatted(destination, role, ip.address(), link.name());
    Optional<Route> replaced =
        actual.stream()
            .filter(
                it -> isWithoutSource(it, route) || obsolete.stream().anyMatch(o -> isEqual(it, o)))
            .findFirst();
    var change = new RouteChange(route, replaced, ip, isRestored);
    String verb = replaced.isPresent() ? "replace" : "add";
    differences.add(
        finding,
        verb + " the route to " + destination + describeHop(route),
        change::apply,
        change::undo);
  }

  /** Whether a route has lost its source with the address; the kernel keeps it (IPv6). */
  private static boolean isWithoutSource(Route actual, Route wanted) {
    return actual.source().isEmpty()
        && actual.table() == wanted.table()
        && actual.protocol() == wanted.protocol()
        && hasSameHop(actual, wanted);
  }

  private String describeHop(Route route) {
    return route
        .hops()
        .getFirst()
        .gateway()
        .map(gateway -> " via " + InetAddresses.format(gateway))
        .orElse(" on " + link.name());
  }

  private static boolean hasSameHop(Route actual, Route wanted) {
    return actual.hops().equals(wanted.hops());
  }

  private static boolean isEqual(Route actual, Route wanted) {
    return hasSameHop(actual, wanted)
        && actual.hasDestination(wanted.destination(), wanted.prefix())
        && actual.table() == wanted.table()
        && actual.source().equals(wanted.source());
  }

  /**
   * The addition or replacement of a route, and the deletion of the kernel's direct route to the
   * same network.
   */
  private final class RouteChange {
    private final Route route;
    private final Optional<Route> replaced;
    private final Optional<DirectRoute> direct;
    private final boolean isRestored;
    private boolean changed;

    RouteChange(Route route, Optional<Route> replaced, Result.IpConfig ip, boolean isRestored) {
      this.route = route;
      this.replaced = replaced.map(it -> it.inTable(it.table()));
      this.direct = hasGateway(route) ? Optional.of(new DirectRoute(ip)) : Optional.empty();
      this.isRestored = isRestored;
    }

    void apply() throws CniException, IOException {
      awaitSource(route);
      NetlinkRequest request = replaced.isPresent() ? route.replaceRequest() : route.addRequest();
      // A later plugin of the chain may have moved the route, with that to the gateway, to another
      // table, and restores it there.
      int[] ignored =
          isRestored && hasGateway(route)
              ? new int[] {Errno.EEXIST, Errno.ENETUNREACH, Errno.EHOSTUNREACH}
              : new int[] {Errno.EEXIST};
      changed = rtnetlink().executeIgnoring(request, ignored);
      try {
        if (direct.isPresent()) {
          direct.get().delete();
        }
      } catch (IOException e) {
        undo();
        throw e;
      }
    }

    void undo() throws CniException, IOException {
      if (direct.isPresent()) {
        direct.get().restore();
      }
      if (changed) {
        changed = false;
        if (replaced.isPresent()) {
          awaitSource(replaced.get());
          rtnetlink().execute(replaced.get().replaceRequest());
        } else {
          rtnetlink().executeIgnoring(route.deleteRequest(), Errno.ESRCH);
        }
      }
    }
  }

  /** The source of a route cannot be a tentative address. */
  private void awaitSource(Route route) throws CniException, IOException {
    if (IpFamily.of(route.destination()) == IpFamily.IPV6) {
      listed.awaitDad();
    }
  }

  /** The kernel's direct route to the network of an address. */
  private final class DirectRoute {
    private final Route route;
    private boolean deleted;

    DirectRoute(Result.IpConfig ip) {
      route = listed.kernelRoute(ip.address());
    }

    void delete() throws IOException {
      deleted = rtnetlink().executeIgnoring(route.deleteKernelRouteRequest(), Errno.ESRCH);
    }

    void restore() throws IOException {
      if (deleted) {
        deleted = false;
        rtnetlink().executeIgnoring(route.addRequest(), Errno.EEXIST);
      }
    }
  }

  private void deleteDirect(Result.IpConfig ip, Cidr network) {
    var direct = new DirectRoute(ip);
    differences.add(
        "interface %s has a direct route to %s besides that through the gateway"
            .formatted(link.name(), network),
        "delete the direct route to %s on %s".formatted(network, link.name()),
        direct::delete,
        direct::restore);
  }

  /** Adds the deletion of the routes of addresses that are no longer desired. */
  void compareObsolete(List<Result.IpConfig> current, List<Result.IpConfig> desired)
      throws CniException {
    List<Route> kept = routes(desired);
    for (Route route : routes(current).reversed()) { // a gateway's route after those through it
      var destination = new Cidr(route.destination(), route.prefix());
      if (kept.stream().noneMatch(it -> it.hasDestination(route.destination(), route.prefix()))) {
        for (Route actual : listed.routesTo(destination)) {
          if (isEqual(actual, route)) {
            delete(destination, actual);
          }
        }
      }
    }
  }

  private void delete(Cidr destination, Route route) {
    Route restored = route.inTable(route.table());
    differences.addTentative(
        "the route to %s is still in the container, but no longer needed".formatted(destination),
        "delete the route to " + destination,
        () -> rtnetlink().executeIgnoring(route.deleteRequest(), Errno.ESRCH),
        () -> {
          awaitSource(restored);
          rtnetlink().executeIgnoring(restored.addRequest(), Errno.EEXIST);
        });
  }

  /**
   * Prepares the deletion of addresses, and the change of one of several addresses of a network.
   * When the deletion is undone, the kernel adds a direct route. When one of several is deleted, at
   * the end or to undo an addition, the kernel keeps the direct route of another (IPv6), or adds
   * one since the other becomes the primary address (IPv4).
   *
   * @see #compareAfterAddresses
   */
  void compareBeforeAddresses(List<Result.IpConfig> current, List<Result.IpConfig> desired)
      throws CniException {
    for (Result.IpConfig ip : changesOfDirectRoutes(current, desired)) {
      addDirectRoute(ip, Differences.Action.NONE, () -> new DirectRoute(ip).delete());
    }
  }

  /** Adds the deletion of the direct routes that are there after the addresses were changed. */
  void compareAfterAddresses(List<Result.IpConfig> current, List<Result.IpConfig> desired)
      throws CniException {
    for (Result.IpConfig ip : changesOfDirectRoutes(current, desired)) {
      addDirectRoute(ip, () -> new DirectRoute(ip).delete(), Differences.Action.NONE);
    }
  }

  /** Returns an address of each network whose direct route may be there after a change. */
  private List<Result.IpConfig> changesOfDirectRoutes(
      List<Result.IpConfig> current, List<Result.IpConfig> desired) throws CniException {
    Map<Cidr, Result.IpConfig> changes = new LinkedHashMap<>();
    for (Result.IpConfig ip : Stream.concat(current.stream(), desired.stream()).toList()) {
      Cidr network = ip.address().network();
      boolean hasOther =
          Stream.concat(current.stream(), desired.stream())
              .map(Result.IpConfig::address)
              .anyMatch(it -> it.network().equals(network) && !it.equals(ip.address()));
      boolean isDesired = desired.stream().anyMatch(it -> it.address().equals(ip.address()));
      boolean differs = isDesired != listed.isPresent(ip);
      if (differs && (hasOther || !isDesired)) {
        changes.putIfAbsent(network, ip);
      }
    }
    return List.copyOf(changes.values());
  }

  private void addDirectRoute(
      Result.IpConfig ip, Differences.Action apply, Differences.Action undo) {
    Cidr network = ip.address().network();
    differences.add(
        "the addresses of %s on interface %s differ".formatted(network, link.name()),
        "keep the direct route to %s away from %s".formatted(network, link.name()),
        apply,
        undo);
  }
}
