// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.vrf;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.Differences.Kind;
import cni.api.Result;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.plugins.meta.InterfaceRoutes;
import cni.plugins.meta.PreviousResult;
import cni.plugins.meta.RoutingChanges;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.InterfaceCidrs;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Compares the VRF of an attachment, its interface and its routes with the desired ones.
 *
 * @param routing a socket of the container, which stays open until the changes have been made
 */
record VrfComparison(
    RouteSocket routing, VrfPlugin.Config config, Link link, Differences differences) {
  /**
   * A result, and the interface's addresses in it.
   *
   * @param ips the addresses
   * @param result the result
   */
  record Addressed(List<Result.IpConfig> ips, Result result) {
    static Addressed of(AttachmentRequest request) throws CniException {
      Result result = request.requirePrevResult();
      return new Addressed(PreviousResult.containerIps(request, result), result);
    }

    List<Route> routes(Link link, boolean v4) {
      return InterfaceRoutes.of(link.index(), v4, ips, result);
    }
  }

  /** Adds the differences. */
  void compare(Addressed current, Addressed desired) throws CniException, IOException {
    Optional<Link> vrf = routing.link(config.name());
    int table = config.table();
    if (vrf.isPresent()) {
      AttachmentCheck.requireKind(vrf.get(), VrfPlugin.KIND, "the container");
      table = VrfPlugin.tableOf(vrf.get());
      compareState(vrf.get());
    } else {
      table = table == 0 ? VrfPlugin.freeTable(routing) : table;
      create(table);
    }
    boolean isMember = vrf.filter(it -> it.index() == link.master()).isPresent();
    if (!isMember) {
      join(table);
    }
    compareRoutes(current, desired, table, isMember);
  }

  private void compareState(Link vrf) {
    if (!vrf.isUp()) {
      differences
          .of(Kind.LINK_STATE)
          .add(
              "VRF " + vrf.name() + " is down",
              "set VRF " + vrf.name() + " up",
              () -> routing.execute(LinkRequests.setUp(vrf.index())),
              () -> routing.execute(LinkRequests.setDown(vrf.index())));
    }
  }

  private void create(int table) {
    differences
        .of(Kind.INTERFACE)
        .add(
            "VRF " + config.name() + " is missing from the container",
            "create VRF %s with table %s".formatted(config.name(), Integer.toUnsignedString(table)),
            () -> VrfPlugin.create(routing, config.name(), table),
            () -> routing.executeIgnoring(LinkRequests.delete(config.name()), Errno.ENODEV));
  }

  private void join(int table) throws IOException {
    String finding = "interface " + link.name() + " does not belong to VRF " + config.name();
    if (link.master() != 0 && routing.link(link.master()).isPresent()) {
      differences.of(Kind.MASTER).addUnchangeable(finding + " but to another master interface");
      return;
    }
    List<Route> before = routesOfInterface();
    differences
        .of(Kind.MASTER)
        .add(
            finding,
            "add interface %s to VRF %s".formatted(link.name(), config.name()),
            () -> VrfPlugin.join(routing, link, index(), table),
            () -> leave(before));
  }

  private int index() throws IOException {
    return routing.links(config.name()).getFirst().index();
  }

  private List<Route> routesOfInterface() throws IOException {
    List<Route> routes = new ArrayList<>();
    for (IpFamily family : IpFamily.values()) {
      routing.routes(family).stream()
          .filter(it -> it.table() == RtnetlinkConstants.RT_TABLE_MAIN)
          .flatMap(it -> it.partsThrough(link.index()).stream())
          .forEach(routes::add);
    }
    return routes;
  }

  private void leave(List<Route> routes) throws IOException {
    VrfPlugin.join(routing, link, 0, RtnetlinkConstants.RT_TABLE_MAIN);
    for (Route route : routes) {
      routing.executeIgnoring(
          route.inTable(RtnetlinkConstants.RT_TABLE_MAIN).addRequest(), Errno.EEXIST);
    }
  }

  /**
   * Requires the routes to the networks of the addresses, and those of the result, and deletes
   * those that only the current result has.
   */
  private void compareRoutes(Addressed current, Addressed desired, int table, boolean isMember)
      throws IOException {
    var changes = new RoutingChanges(routing, link.name(), differences);
    for (boolean v4 : List.of(true, false)) {
      List<Route> before = current.routes(link, v4);
      List<Route> expected = desired.routes(link, v4);
      List<Route> present =
          (expected.isEmpty() && before.isEmpty()) || !isMember ? List.of() : routesIn(v4, table);
      List<Route> missing = new ArrayList<>();
      for (Route it : expected) {
        if (!isIn(present, it) && (!isKernels(it) || (isMember && !isPending(it)))) {
          missing.add(it);
        }
      }
      compareMissing(changes, missing, table, present);
      present.stream()
          .filter(it -> !isKernels(it) && isIn(before, it))
          .filter(it -> expected.stream().noneMatch(now -> InterfaceRoutes.isSamePlace(now, it)))
          .forEach(changes::deleteRoute);
    }
  }

  private static boolean isIn(List<Route> routes, Route route) {
    return routes.stream().anyMatch(it -> InterfaceRoutes.isSame(it, route));
  }

  private void compareMissing(
      RoutingChanges changes, List<Route> missing, int table, List<Route> present) {
    String finding =
        "route %s is missing from table %s of VRF %s"
            .formatted(
                InterfaceRoutes.describe(missing), Integer.toUnsignedString(table), config.name());
    if (missing.stream().anyMatch(VrfComparison::isKernels)) {
      // With them the local routes of the table are gone, as after a flush of the table.
      differences.of(Kind.ROUTE).addUnchangeable(finding);
    } else if (!missing.isEmpty()) {
      changes.moveRoutes(finding, missing, table, present, missing);
    }
  }

  /** Whether the kernel adds a route, with the address when the interface joins the VRF. */
  private static boolean isKernels(Route route) {
    return route.protocol() == RtnetlinkConstants.RTPROT_KERNEL;
  }

  /**
   * Whether the kernel will add its route, once the plugin before has set the interface up or added
   * an address: one that was flushed, or is only in the desired result.
   */
  private boolean isPending(Route network) throws IOException {
    return !link.isUp()
        || routing.addresses(link.index()).stream()
            .map(it -> InterfaceCidrs.of(it).network())
            .noneMatch(it -> network.hasDestination(it.address(), it.prefix()));
  }

  private List<Route> routesIn(boolean v4, int table) throws IOException {
    return routing.routes(v4 ? IpFamily.IPV4 : IpFamily.IPV6).stream()
        .filter(it -> it.table() == table)
        .flatMap(it -> it.partsThrough(link.index()).stream())
        .toList();
  }
}
