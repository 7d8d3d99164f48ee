// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta;

import cni.api.Differences;
import cni.api.InetAddresses;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.PolicyRule;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;

/**
 * The changes of rules and routes. Each tolerates that another plugin of the chain has made it, and
 * undoes only what it has done itself.
 *
 * @param routing a socket of the container, which stays open until the changes have been made
 * @param interfaceName the interface
 */
public record RoutingChanges(RouteSocket routing, String interfaceName, Differences differences) {
  private static final int MAIN = RtnetlinkConstants.RT_TABLE_MAIN;

  /** Adds differences as those of routes. */
  public RoutingChanges {
    differences = differences.of(Differences.Kind.ROUTE);
  }

  /**
   * Adds the addition of a rule.
   *
   * @param tableName describes the table for the finding
   */
  public void addRule(InetAddress source, int table, String tableName) {
    PolicyRule rule = PolicyRule.fromSource(source, table);
    differences.addTentative(
        "no rule routes packets from %s by %s".formatted(InetAddresses.format(source), tableName),
        "add rule from %s table %s"
            .formatted(InetAddresses.format(source), Integer.toUnsignedString(table)),
        () -> routing.executeIgnoring(rule.addRequest(), Errno.EEXIST),
        () -> routing.executeIgnoring(rule.deleteRequest(), Errno.ENOENT));
  }

  /** Adds the deletion of a rule. */
  public void deleteRule(PolicyRule rule) {
    String description =
        "rule from %s table %s"
            .formatted(
                InetAddresses.format(rule.source().orElseThrow()),
                Integer.toUnsignedString(rule.table()));
    differences.addTentative(
        description + " is not configured",
        "delete " + description,
        () -> routing.executeIgnoring(rule.deleteRequest(), Errno.ENOENT),
        () -> routing.executeIgnoring(rule.addRequest(), Errno.EEXIST));
  }

  /**
   * Adds the addition of routes to a table. Another plugin of the chain may have added them to the
   * main table before, from which they are deleted.
   *
   * @param routes those without gateways first
   * @param present the routes that the table has; one in the place of another is replaced
   * @param leaving those of the routes that are deleted from the main table
   */
  public void moveRoutes(
      String finding, List<Route> routes, int table, List<Route> present, List<Route> leaving) {
    Deque<Undo> undo = new ArrayDeque<>();
    differences.add(
        finding,
        "add route %s by %s to table %s"
            .formatted(
                InterfaceRoutes.describe(routes), interfaceName, Integer.toUnsignedString(table)),
        () -> {
          try {
            for (Route it : routes) {
              addOrReplace(it, table, present, undo);
            }
            for (Route it : leaving.reversed()) { // by gateways first
              deleteFromMain(it, undo);
            }
          } catch (IOException e) {
            undoAfter(undo, e);
            throw e;
          }
        },
        () -> undo(undo));
  }

  private interface Undo {
    void run() throws IOException;
  }

  private static void undo(Deque<Undo> steps) throws IOException {
    while (!steps.isEmpty()) {
      steps.pop().run();
    }
  }

  private static void undoAfter(Deque<Undo> steps, IOException failure) {
    try {
      undo(steps);
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }

  private void addOrReplace(Route route, int table, List<Route> present, Deque<Undo> undo)
      throws IOException {
    Optional<Route> replaced =
        present.stream().filter(it -> InterfaceRoutes.isSamePlace(it, route)).findFirst();
    Route added = route.inTable(table);
    routing.execute(added.replaceRequest());
    undo.push(
        replaced.isPresent()
            ? () -> routing.execute(replaced.get().replaceRequest())
            : () -> routing.executeIgnoring(added.deleteRequest(), Errno.ESRCH));
  }

  private void deleteFromMain(Route route, Deque<Undo> undo) throws IOException {
    for (Route it : routing.routes(IpFamily.of(route.destination()))) {
      for (Route part : it.partsThrough(route.hops().getFirst().link())) {
        if (part.table() == MAIN
            && InterfaceRoutes.isSame(part, route)
            && routing.executeIgnoring(part.deleteRequest(), Errno.ESRCH)) {
          undo.push(() -> routing.execute(part.replaceRequest()));
        }
      }
    }
  }

  /**
   * Adds the addition of a route to the main table.
   *
   * @param replaced a route that it replaces there
   */
  public void addToMain(Route route, Optional<Route> replaced) {
    Route inMain = route.inTable(MAIN);
    differences.addTentative(
        "route %s by %s is not in the main table"
            .formatted(InterfaceRoutes.describe(route), interfaceName),
        "add route %s by %s".formatted(InterfaceRoutes.describe(route), interfaceName),
        () -> {
          if (replaced.isEmpty()) {
            return routing.executeIgnoring(inMain.addRequest(), Errno.EEXIST);
          }
          routing.execute(inMain.replaceRequest());
          return true;
        },
        () -> {
          if (replaced.isEmpty()) {
            routing.executeIgnoring(inMain.deleteRequest(), Errno.ESRCH);
          } else {
            routing.execute(replaced.get().replaceRequest());
          }
        });
  }

  /** Adds the deletion of a route. */
  public void deleteRoute(Route route) {
    String description =
        "route %s by %s in table %s"
            .formatted(
                InterfaceRoutes.describe(route),
                interfaceName,
                Integer.toUnsignedString(route.table()));
    differences.addTentative(
        description + " is not configured",
        "delete " + description,
        () -> routing.executeIgnoring(route.deleteRequest(), Errno.ESRCH),
        () -> routing.executeIgnoring(route.addRequest(), Errno.EEXIST));
  }
}
