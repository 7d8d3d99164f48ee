package cni.conformance;

import cni.netlink.ffm.NetNs;
import cni.netlink.ffm.netfilter.ListedChain;
import cni.netlink.ffm.netfilter.Nftables;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RtNetlink;
import cni.netlink.ffm.route.Rtnetlink;
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
 * What a namespace or a directory is like: a line for each thing in it, without what differs from
 * one time to another.
 */
record State(SortedSet<String> lines) {
  /** The kernel's own table of what is local, RT_TABLE_LOCAL. */
  private static final int LOCAL_TABLE = 255;

  /** Links, addresses, routes, policy rules, queues and packet filters of a namespace. */
  static State of(NetNs namespace) throws IOException {
    SortedSet<String> lines = new TreeSet<>();
    try (Rtnetlink routing = Rtnetlink.open(namespace)) {
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
          if (qdisc.handle() != 0) { // the kernel's own have none
            lines.add("queue " + qdisc.kind() + " of " + link.name());
          }
        }
      }
      for (int family : new int[] {RtNetlink.AF_INET, RtNetlink.AF_INET6}) {
        routing.rules(family).forEach(rule -> lines.add("policy " + rule));
        for (Route route : routing.routes(family)) {
          addRoute(route, names, lines);
        }
      }
    }
    addFilters(namespace, lines);
    return new State(lines);
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
    if (route.table() != LOCAL_TABLE
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
    try (Nftables nftables = Nftables.open(namespace)) {
      if (nftables.unavailable().isPresent()) {
        return;
      }
      for (ListedChain chain : nftables.chains()) {
        int rules = nftables.rules(chain.chain()).size();
        lines.add("chain " + chain.chain() + " with " + rules + " rules");
      }
    }
  }

  /** The files below a directory, by their names. */
  static State of(Path directory) throws IOException {
    SortedSet<String> lines = new TreeSet<>();
    try (Stream<Path> files = Files.walk(directory)) {
      files
          .filter(Files::isRegularFile)
          .forEach(file -> lines.add("file " + directory.relativize(file)));
    }
    return new State(lines);
  }

  State plus(State other) {
    SortedSet<String> both = new TreeSet<>(lines);
    both.addAll(other.lines);
    return new State(both);
  }

  /** What the other has not. */
  State minus(State other) {
    SortedSet<String> rest = new TreeSet<>(lines);
    rest.removeAll(other.lines);
    return new State(rest);
  }

  boolean isEmpty() {
    return lines.isEmpty();
  }

  /** Whether there is something of that kind. */
  boolean has(String kind) {
    return lines.stream().anyMatch(line -> line.startsWith(kind + " "));
  }

  @Override
  public String toString() {
    return String.join("; ", lines);
  }
}
