// SPDX-License-Identifier: Apache-2.0
package cni.doctor.traffic;

import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.tc.HtbClass;
import cni.netlink.ffm.tc.QdiscStatistics;
import cni.netlink.ffm.tc.TcConstants;
import cni.netlink.ffm.tc.TokenBucket;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * The limits that the host's interfaces have, by name: two dumps for any number of attachments.
 *
 * @param kinds the kind of each interface of the host, such as veth
 * @param limits the limits of those that have one
 */
record HostLimits(Map<String, String> kinds, Map<String, Shaping> limits) {
  /** What the bandwidth plugin gives a class that is not limited, in bytes per second. */
  private static final long UNLIMITED = 100_000_000_000L;

  /**
   * Reads the limits of a namespace.
   *
   * @param namespace the host's namespace; that of this process if absent
   * @throws IOException if the namespace cannot be entered, or the kernel refuses
   */
  static HostLimits read(Optional<Path> namespace) throws IOException {
    try (RouteSocket socket = RouteSocket.open(namespace)) {
      return read(socket);
    }
  }

  private static HostLimits read(RouteSocket socket) throws IOException {
    Map<String, String> kinds = new HashMap<>();
    Map<Integer, String> names = new HashMap<>();
    for (Link link : socket.links()) {
      kinds.put(link.name(), link.kind());
      names.put(link.index(), link.name());
    }
    List<QdiscStatistics> roots =
        QdiscStatistics.listAll(socket).stream()
            .filter(it -> it.qdisc().parent() == TcConstants.ROOT)
            .collect(Collectors.toList());
    Map<String, Shaping> limits = new HashMap<>();
    for (QdiscStatistics root : roots) {
      Optional<String> name = Optional.ofNullable(names.get(root.qdisc().link()));
      long rate = rate(socket, root);
      if (name.isPresent() && rate > 0) {
        limits.put(name.get(), Shaping.of(rate, root));
      }
    }
    return new HostLimits(kinds, limits);
  }

  /** Returns the rate in bytes per second; 0 if the qdisc does not limit. */
  private static long rate(RouteSocket socket, QdiscStatistics root) throws IOException {
    if (!root.qdisc().kind().equals("htb")) {
      return root.qdisc().bucket().map(TokenBucket::rate).orElse(0L);
    }
    return HtbClass.list(socket, root.qdisc().link()).stream()
        .mapToLong(HtbClass::rate)
        .filter(it -> it < UNLIMITED)
        .min()
        .orElse(0);
  }

  /** Returns the limit of an interface of the given kind; absent if it has none. */
  Optional<Shaping> of(String name, String kind) {
    return kind.equals(kinds.get(name)) ? Optional.ofNullable(limits.get(name)) : Optional.empty();
  }
}
