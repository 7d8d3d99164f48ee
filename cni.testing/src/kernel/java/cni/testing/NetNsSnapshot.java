// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.nftables.InstalledChain;
import cni.netlink.ffm.nftables.NftablesSocket;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.tc.Qdisc;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * The state of a namespace or a directory as sorted lines, one for each link, address, route,
 * qdisc, chain or file. Identifiers that differ from run to run are left out, so that snapshots
 * taken before and after an operation can be compared.
 *
 * @param lines each begins with the kind of what it describes, such as {@code link} or {@code
 *     route}
 */
public record NetNsSnapshot(SortedSet<String> lines) {
  /** The kernel's table of local addresses (linux/rtnetlink.h). */
  private static final int RT_TABLE_LOCAL = 255;

  /**
   * Takes a snapshot of a namespace: links, addresses, routes, policy rules, qdiscs and nf_tables
   * chains. Link-local addresses and the kernel's own qdiscs and local routes are left out.
   *
   * @throws IOException if the kernel refuses to list them
   */
  public static NetNsSnapshot of(NetNs namespace) throws IOException {
    SortedSet<String> lines = new TreeSet<>();
    try (RouteSocket routing = RouteSocket.open(namespace)) {
      Map<Integer, String> names = new HashMap<>();
      names.put(0, "");
      for (Link link : routing.links()) {
        names.put(link.index(), link.name());
      }
      for (Link link : routing.links()) {
        lines.add(describe(link, names));
        for (InterfaceAddress address : routing.addresses(link.index())) {
          if (!address.address().isLinkLocalAddress()) {
            lines.add(
                "address "
                    + address.address().getHostAddress()
                    + "/"
                    + address.prefix()
                    + " of "
                    + link.name());
          }
        }
        for (Qdisc qdisc : Qdisc.list(routing, link.index())) {
          if (qdisc.handle() != 0) { // the kernel's default qdiscs have no handle
            lines.add("qdisc " + qdisc.kind() + " of " + link.name());
          }
        }
      }
      for (IpFamily family : IpFamily.values()) {
        routing.policyRules(family).forEach(rule -> lines.add("policy " + rule));
        for (Route route : routing.routes(family)) {
          addRoute(route, names, lines);
        }
      }
    }
    addFilters(namespace, lines);
    return new NetNsSnapshot(lines);
  }

  private static String describe(Link link, Map<Integer, String> names) {
    return "link %s %s %s mtu %d mac %s master %s promiscuity %d"
        .formatted(
            link.name(),
            link.kind(),
            link.isUp() ? "up" : "down",
            link.mtu(),
            link.mac(),
            names.getOrDefault(link.master(), "?"),
            link.promiscuity());
  }

  private static void addRoute(Route route, Map<Integer, String> names, SortedSet<String> lines) {
    InetAddress destination = route.destination();
    if (route.table() != RT_TABLE_LOCAL
        && !destination.isLinkLocalAddress()
        && !destination.isMulticastAddress()) {
      String network = destination.getHostAddress() + "/" + route.prefix();
      for (Route.Hop hop : route.hops()) {
        String gateway = hop.gateway().map(it -> " via " + it.getHostAddress()).orElse("");
        String by = names.getOrDefault(hop.link(), "?") + gateway;
        lines.add("route " + network + " by " + by + " table " + route.table());
      }
    }
  }

  private static void addFilters(NetNs namespace, SortedSet<String> lines) throws IOException {
    try (NftablesSocket nftables = NftablesSocket.open(namespace)) {
      if (nftables.unavailabilityReason().isPresent()) {
        return;
      }
      for (InstalledChain chain : nftables.chains()) {
        int rules = nftables.rules(chain.chain()).size();
        lines.add("chain " + chain.chain() + " with " + rules + " rules");
      }
    }
  }

  /**
   * Lists the regular files below a directory.
   *
   * @throws IOException if it cannot be read
   */
  public static NetNsSnapshot of(Path directory) throws IOException {
    SortedSet<String> lines = new TreeSet<>();
    try (Stream<Path> files = Files.walk(directory)) {
      files
          .filter(Files::isRegularFile)
          .forEach(file -> lines.add("file " + directory.relativize(file)));
    }
    return new NetNsSnapshot(lines);
  }

  /** Returns the lines of both. */
  public NetNsSnapshot plus(NetNsSnapshot other) {
    SortedSet<String> both = new TreeSet<>(lines);
    both.addAll(other.lines);
    return new NetNsSnapshot(both);
  }

  /** Returns the lines that the other snapshot does not have. */
  public NetNsSnapshot minus(NetNsSnapshot other) {
    SortedSet<String> rest = new TreeSet<>(lines);
    rest.removeAll(other.lines);
    return new NetNsSnapshot(rest);
  }

  /** Returns whether there are no lines. */
  public boolean isEmpty() {
    return lines.isEmpty();
  }

  /**
   * Returns whether there is a line of a kind.
   *
   * @param kind such as {@code qdisc}
   */
  public boolean hasKind(String kind) {
    return lines.stream().anyMatch(line -> line.startsWith(kind + " "));
  }

  @Override
  public String toString() {
    return String.join("; ", lines);
  }
}
