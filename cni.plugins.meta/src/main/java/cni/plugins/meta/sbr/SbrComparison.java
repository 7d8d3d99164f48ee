// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.sbr;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.PolicyRule;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.plugins.meta.InterfaceRoutes;
import cni.plugins.meta.PreviousResult;
import cni.plugins.meta.RoutingChanges;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Compares the rules and tables of an attachment with the desired ones. A table is complete before
 * a rule refers to it, and routes are deleted after the last rule that refers to them.
 */
final class SbrComparison {
  private static final int MAIN = RtnetlinkConstants.RT_TABLE_MAIN;

  private final SbrConfig current;
  private final SbrConfig desired;
  private final Result before;
  private final Result result;
  private final List<Result.IpConfig> ipsBefore;
  private final List<Result.IpConfig> ips;
  private final SourceRoutes routes;
  private final SourceRoutes routesBefore;
  private final RoutingTables tables;
  private final RoutingChanges changes;
  private final Link link;
  private final PointToPointRoutes interfaceRoutes;
  private final RouteSocket routing;
  private final Differences differences;

  private SbrComparison(
      UpdateRequest request,
      SbrConfig current,
      SbrConfig desired,
      RouteSocket host,
      RouteSocket routing,
      Link link,
      Differences differences)
      throws CniException, IOException {
    this.current = current;
    this.desired = desired;
    this.link = link;
    this.routing = routing;
    this.differences = differences.of(Differences.Kind.ROUTE);
    result = request.desired().requirePrevResult();
    before = request.current().prevResult().orElse(result);
    ips = SbrPlugin.addresses(request.desired(), result);
    ipsBefore = PreviousResult.containerIps(request.current(), before);
    routes = new SourceRoutes(link, desired);
    routesBefore = new SourceRoutes(link, current);
    tables = new RoutingTables(routing, link.index());
    interfaceRoutes = new PointToPointRoutes(host, link, tables);
    changes = new RoutingChanges(routing, link.name(), differences);
  }

  /**
   * Adds the differences.
   *
   * @return the desired result, which is the previous one
   */
  static Result compare(UpdateRequest request, Differences differences) throws CniException {
    AttachmentRequest wanted = request.desired();
    SbrConfig desired = SbrConfig.parse(wanted.config());
    SbrConfig current =
        request.isUnchanged() ? desired : SbrConfig.parse(request.current().config());
    Result previous = wanted.requirePrevResult();
    SbrPlugin.addresses(wanted, previous);
    NetNsSession host = differences.keep(NetNsSession.openHost(wanted.context()));
    NetNsSession container = differences.keep(NetNsSession.openContainer(wanted, host));
    try {
      Optional<Link> link = AttachmentCheck.findInterface(wanted, container, differences);
      if (link.isPresent()) {
        new SbrComparison(
                request,
                current,
                desired,
                host.rtnetlink(),
                container.rtnetlink(),
                link.get(),
                differences)
            .compare();
      }
      return previous;
    } catch (IOException e) {
      throw NetNsSession.failure("checking routes", e);
    }
  }

  private void compare() throws IOException {
    boolean leavesMain = current.table().isPresent() && desired.table().isEmpty();
    boolean returnsToMain = current.table().isEmpty() && desired.table().isPresent();
    Set<PolicyRule> obsolete = obsoleteRules();
    List<Route> returning = new ArrayList<>();
    if (current.table().isEmpty()) {
      for (int table : tablesOf(obsolete)) {
        returning.addAll(tables.routesIn(table));
      }
    }
    if (returnsToMain) {
      returnToMain(returning);
    }
    List<Route> moved = leavesMain ? tables.routesIn(MAIN) : List.of();
    for (Result.IpConfig ip : ips) {
      if (desired.table().isPresent()) {
        compareRule(ip.address().address(), desired.table().getAsInt(), "table %d");
      } else {
        compareTable(ip, moved);
      }
    }
    if (desired.table().isEmpty() && desired.addSourceHints()) {
      addSourceHints();
    }
    obsolete.forEach(changes::deleteRule);
    deleteRoutes(returning);
    deleteRoutes(moved.stream().filter(it -> !staysInMain(it)).toList());
    if (desired.table().isPresent() || !desired.addSourceHints()) {
      deleteRoutes(obsoleteHints(returning));
    }
  }

  /** Deletes routes by gateways first: if this is undone, they need the others. */
  private void deleteRoutes(List<Route> obsolete) {
    obsolete.stream().sorted(SourceRoutes.GATEWAYS_LAST.reversed()).forEach(changes::deleteRoute);
  }

  /**
   * Returns the rules that the desired state does not have: those of addresses that are no longer
   * assigned, and those for another table than the desired one.
   */
  private Set<PolicyRule> obsoleteRules() throws IOException {
    Set<PolicyRule> obsolete = new LinkedHashSet<>();
    boolean keepsTable = current.table().equals(desired.table());
    for (Result.IpConfig ip : ipsBefore) {
      InetAddress address = ip.address().address();
      boolean isAssigned = ips.stream().anyMatch(it -> it.address().address().equals(address));
      for (PolicyRule rule : tables.rulesFrom(address)) {
        boolean isCurrent =
            rule.matchesSourceOnly()
                && (current.table().isEmpty() || current.table().getAsInt() == rule.table());
        boolean isDesired =
            isAssigned
                && (keepsTable
                    || (desired.table().isPresent() && desired.table().getAsInt() == rule.table()));
        if (isCurrent && !isDesired) {
          obsolete.add(rule);
        }
      }
    }
    return obsolete;
  }

  private static Set<Integer> tablesOf(Set<PolicyRule> rules) {
    Set<Integer> numbers = new LinkedHashSet<>();
    rules.forEach(it -> numbers.add(it.table()));
    return numbers;
  }

  private void compareRule(InetAddress address, int table, String name) throws IOException {
    boolean exists = tables.rulesFrom(address).stream().anyMatch(rule -> rule.table() == table);
    if (!exists) {
      changes.addRule(address, table, name.formatted(table));
    }
  }

  /** Compares the separate table of an address and the rule for it. */
  private void compareTable(Result.IpConfig ip, List<Route> moved) throws IOException {
    InetAddress address = ip.address().address();
    List<Route> expected =
        routes.expected(
            ip, moved.isEmpty() ? interfaceRoutes.of(ip.address().isV4(), ips, result) : moved);
    IpFamily family = IpFamily.of(address);
    Optional<Integer> found =
        tables.rulesFrom(address).stream()
            .map(PolicyRule::table)
            .filter(it -> current.table().isEmpty() || current.table().getAsInt() != it)
            .findFirst();
    int table = found.isPresent() ? found.get() : tables.chooseTable(family, expected);
    List<Route> present = tables.routesIn(table);
    compareRoutes(address, expected, present, table, moved.isEmpty());
    for (Route route : routesBefore(ip)) {
      boolean isExpected = expected.stream().anyMatch(it -> InterfaceRoutes.isSamePlace(it, route));
      if (!isExpected) {
        present.stream()
            .filter(it -> InterfaceRoutes.isSame(it, route))
            .forEach(changes::deleteRoute);
      }
    }
    if (found.isEmpty()) {
      changes.addRule(address, table, "a separate table");
    }
  }

  /** Returns the routes that an address should have had before, if it had a table. */
  private List<Route> routesBefore(Result.IpConfig ip) throws IOException {
    Optional<Result.IpConfig> same =
        ipsBefore.stream().filter(it -> it.address().equals(ip.address())).findFirst();
    return current.table().isPresent() || same.isEmpty()
        ? List.of()
        : routesBefore.expected(
            same.get(), interfaceRoutes.of(ip.address().isV4(), ipsBefore, before));
  }

  private void compareRoutes(
      InetAddress address,
      List<Route> expected,
      List<Route> present,
      int table,
      boolean leaveMain) {
    List<Route> missing =
        expected.stream()
            .filter(route -> present.stream().noneMatch(it -> InterfaceRoutes.isSame(it, route)))
            .toList();
    if (!missing.isEmpty()) {
      String finding =
          "table %s, which routes packets from %s, has no route to %s by %s"
              .formatted(
                  Integer.toUnsignedString(table),
                  InetAddresses.format(address),
                  InterfaceRoutes.describe(missing),
                  link.name());
      List<Route> leaving =
          leaveMain ? missing.stream().filter(it -> !staysInMain(it)).toList() : List.of();
      changes.moveRoutes(finding, missing, table, present, leaving);
    }
  }

  private boolean staysInMain(Route route) {
    return desired.addSourceHints() && route.scope() == RtnetlinkConstants.RT_SCOPE_LINK;
  }

  /**
   * Adds the routes in the main table that prefer an address as the source of packets, unless ADD
   * has done so: it tolerates failures.
   */
  private void addSourceHints() throws IOException {
    if (current.table().isEmpty() && current.addSourceHints()) {
      return;
    }
    List<Route> present = tables.routesIn(MAIN);
    for (Result.IpConfig ip : ips) {
      Route hint = routes.sourceHint(ip.address());
      if (present.stream().noneMatch(it -> isHint(it, hint))) {
        addSourceHint(hint);
      }
    }
  }

  /** Whether a route is a source hint, and not the kernel's route. */
  private static boolean isHint(Route route, Route hint) {
    return InterfaceRoutes.isSame(route, hint)
        && route.source().equals(hint.source())
        && route.protocol() == hint.protocol();
  }

  /** Returns the source hints that exist. */
  private List<Route> hints() throws IOException {
    List<Route> hints = new ArrayList<>();
    if (current.table().isEmpty() && current.addSourceHints()) {
      for (Route route : tables.routesIn(MAIN)) {
        if (ipsBefore.stream().anyMatch(it -> isHint(route, routes.sourceHint(it.address())))) {
          hints.add(route);
        }
      }
    }
    return hints;
  }

  /** Returns the source hints that the routes that return to the main table do not replace. */
  private List<Route> obsoleteHints(List<Route> returning) throws IOException {
    boolean replaces = desired.table().isPresent();
    return hints().stream()
        .filter(
            hint ->
                !replaces
                    || returning.stream().noneMatch(it -> InterfaceRoutes.isSamePlace(it, hint)))
        .toList();
  }

  /** Adds a route to the main table that prefers an address. As in ADD, it may be refused. */
  private void addSourceHint(Route hint) {
    differences.addTentative(
        "route %s by %s has no source hint".formatted(InterfaceRoutes.describe(hint), link.name()),
        "add route %s by %s with a source hint"
            .formatted(InterfaceRoutes.describe(hint), link.name()),
        () -> {
          try {
            routing.execute(hint.replaceRequest());
            return true;
          } catch (NetlinkException e) {
            SbrPlugin.logNoHint(hint, e);
            return false;
          }
        },
        () -> routing.executeIgnoring(hint.deleteRequest(), Errno.ESRCH));
  }

  /** Adds the interface's routes to the main table, as DEL does. */
  private void returnToMain(List<Route> returning) throws IOException {
    List<Route> hints = hints();
    List<Route> present = new ArrayList<>(tables.routesIn(MAIN));
    present.removeAll(hints);
    returning.stream()
        .filter(it -> it.prefix() > 0 || SbrPlugin.isInResult(it, result))
        .filter(it -> present.stream().noneMatch(other -> InterfaceRoutes.isSame(other, it)))
        .sorted(SourceRoutes.GATEWAYS_LAST)
        .forEach(
            it ->
                changes.addToMain(
                    it,
                    hints.stream()
                        .filter(hint -> InterfaceRoutes.isSamePlace(hint, it))
                        .findFirst()));
  }
}
