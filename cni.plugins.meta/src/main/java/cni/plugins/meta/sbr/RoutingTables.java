// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.sbr;

import cni.netlink.ffm.route.FamilyListing;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.PolicyRule;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.plugins.meta.InterfaceRoutes;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The policy rules and routes that a container has at one time. Those of a family are listed once,
 * when they are needed first.
 */
final class RoutingTables {
  private static final int FIRST_TABLE = 100;

  private final int link;
  private final FamilyListing<PolicyRule> rules;
  private final FamilyListing<Route> routes;
  private final Set<Integer> chosen = new HashSet<>();

  /**
   * Creates a view that nothing has been listed for.
   *
   * @param link the index of the interface
   */
  RoutingTables(RouteSocket routing, int link) {
    this.link = link;
    this.rules = new FamilyListing<>(routing::policyRules);
    this.routes = new FamilyListing<>(routing::routes);
  }

  /** Returns the rules for packets from an address. */
  List<PolicyRule> rulesFrom(InetAddress source) throws IOException {
    IpFamily family = IpFamily.of(source);
    return rules.of(family).stream()
        .filter(it -> it.source().filter(source::equals).isPresent())
        .filter(it -> it.sourcePrefix() == family.addressBits())
        .toList();
  }

  /** Returns the interface's routes in the tables other than the local one, one for each hop. */
  List<Route> routes(boolean v4) throws IOException {
    return routes.of(v4 ? IpFamily.IPV4 : IpFamily.IPV6).stream()
        .filter(it -> it.table() != RtnetlinkConstants.RT_TABLE_LOCAL)
        .flatMap(it -> it.partsThrough(link).stream())
        .toList();
  }

  /** Returns the interface's routes in a table, one for each hop. */
  List<Route> routesIn(IpFamily family, int table) throws IOException {
    return routes.of(family).stream()
        .filter(it -> it.table() == table)
        .flatMap(it -> it.partsThrough(link).stream())
        .toList();
  }

  /** Returns the interface's routes of both families in a table. */
  List<Route> routesIn(int table) throws IOException {
    List<Route> found = new ArrayList<>();
    for (IpFamily family : IpFamily.values()) {
      found.addAll(routesIn(family, table));
    }
    return found;
  }

  /**
   * Chooses a table for an address: one without a rule that has some of the expected routes, since
   * only its rule was deleted, or the first that nothing uses.
   */
  int chooseTable(IpFamily family, List<Route> expected) throws IOException {
    Optional<Integer> orphan = findOrphan(family, expected);
    int table = orphan.orElse(FIRST_TABLE);
    Set<Integer> used = new HashSet<>(chosen);
    for (IpFamily it : IpFamily.values()) {
      rules.of(it).forEach(rule -> used.add(rule.table()));
      routes.of(it).forEach(route -> used.add(route.table()));
    }
    while (orphan.isEmpty() && used.contains(table)) {
      table++;
    }
    chosen.add(table);
    return table;
  }

  private Optional<Integer> findOrphan(IpFamily family, List<Route> expected) throws IOException {
    Set<Integer> excluded = new HashSet<>(chosen);
    for (IpFamily it : IpFamily.values()) {
      rules.of(it).forEach(rule -> excluded.add(rule.table()));
    }
    Optional<Integer> best = Optional.empty();
    long most = 0;
    for (Route route : routes.of(family)) {
      int table = route.table();
      boolean isCandidate = table != RtnetlinkConstants.RT_TABLE_MAIN && !excluded.contains(table);
      long matching = isCandidate ? countMatching(family, table, expected) : 0;
      if (matching > most) {
        most = matching;
        best = Optional.of(table);
      }
    }
    return best;
  }

  private long countMatching(IpFamily family, int table, List<Route> expected) throws IOException {
    List<Route> present = routesIn(family, table);
    return expected.stream()
        .filter(it -> present.stream().anyMatch(found -> InterfaceRoutes.isSame(found, it)))
        .count();
  }
}
