// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.PolicyRule;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The content of a container's network namespace.
 *
 * @param links its links
 * @param addresses the addresses of the links
 * @param routes the routes of both families, in all tables
 * @param rules the policy rules of both families
 */
record NamespaceSnapshot(
    List<Link> links,
    List<InterfaceAddress> addresses,
    List<Route> routes,
    List<PolicyRule> rules) {
  /**
   * Reads a namespace; absent if there is none at the path.
   *
   * @throws IOException if it cannot be entered: EPERM or EACCES for lack of privileges
   */
  static Optional<NamespaceSnapshot> read(Path path) throws IOException {
    Optional<NetNs> found = NetNs.openIfPresent(path);
    if (found.isEmpty()) {
      return Optional.empty();
    }
    try (NetNs namespace = found.get();
        RouteSocket socket = RouteSocket.open(namespace)) {
      List<Route> routes = new ArrayList<>();
      List<PolicyRule> rules = new ArrayList<>();
      for (IpFamily family : IpFamily.values()) {
        routes.addAll(socket.routes(family));
        rules.addAll(socket.policyRules(family));
      }
      return Optional.of(new NamespaceSnapshot(socket.links(), socket.addresses(), routes, rules));
    }
  }

  /** Returns the link with a name; absent if there is none. */
  Optional<Link> link(String name) {
    return links.stream().filter(it -> it.name().equals(name)).findFirst();
  }
}
