// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.InetAddresses;
import cni.doctor.RemedyText;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.PolicyRule;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteLookup;
import cni.runtime.CachedAttachment;
import java.io.IOException;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;

/**
 * Why a namespace does not route a packet.
 *
 * @param input the link that the packet came in by; empty for one of the namespace's own
 * @param source the packet's source address; empty if it has none yet
 */
record RouteProblem(
    Namespaces namespaces,
    NamespaceView view,
    Optional<Link> input,
    InetAddress destination,
    Optional<InetAddress> source) {

  /** Returns what the error of the kernel's routing decision means. */
  PathFinding find(NetlinkException e) throws IOException {
    IpFamily family = IpFamily.of(destination);
    String to = InetAddresses.format(destination);
    return switch (e.errno()) {
      case Errno.EXDEV -> reversePath();
      case Errno.EACCES -> route(PathCause.PROHIBITED, "prohibit", to);
      case Errno.EINVAL ->
          isRejectedByReversePath() ? reversePath() : route(PathCause.BLACKHOLE, "blackhole", to);
      case Errno.EHOSTUNREACH -> {
        boolean refuses = input.isPresent() && !isForwarding(view, family, input.get());
        yield refuses
            ? notForwarding(view, family, input.get())
            : route(PathCause.UNREACHABLE, "unreachable", to);
      }
      case Errno.ENETUNREACH -> noRoute(to);
      default ->
          new PathFinding(
              PathCause.UNKNOWN, view + " does not route to " + to + ": " + e.getMessage(), "");
    };
  }

  /** Routes through an interface vanish when it goes down. */
  private PathFinding noRoute(String to) throws IOException {
    var rules = new RoutingRules(view, source, destination);
    Optional<PolicyRule> rule = rules.discarding("unreachable");
    if (rule.isPresent()) {
      return rules.discarded(rule.get(), "unreachable");
    }
    Optional<Link> down = view.downLink();
    if (down.isPresent()) {
      return LinkProblem.down(view, down.get());
    }
    return new PathFinding(
        PathCause.NO_ROUTE, view + " has no route to " + to, missingRouteRemedy(to));
  }

  /**
   * A route that ADD has made is restored. One that the configuration does not ask for is a matter
   * of the configuration, and that of the host is none of a network.
   */
  private String missingRouteRemedy(String to) throws IOException {
    boolean isV4 = IpFamily.of(destination) == IpFamily.IPV4;
    String add = view.ip((isV4 ? "" : "-6 ") + "route add default via ROUTER");
    if (view == namespaces.host()) {
      return RemedyText.commented(add, "or correct the host's network configuration");
    }
    List<CachedAttachment> attachments = namespaces.attachmentsOf(view);
    for (CachedAttachment it : attachments) {
      if (Namespaces.routes(it).stream().anyMatch(route -> route.contains(destination))) {
        return Namespaces.repairCommand(it);
      }
    }
    return attachments.isEmpty()
        ? add
        : RemedyText.commented(
            "cni validate " + attachments.getFirst().network(),
            "its configuration gives containers no route to %s: set \"isDefaultGateway\", or \"routes\""
                    .formatted(to)
                + " of ipam, then cni update %s --all".formatted(attachments.getFirst().network()));
  }

  private PathFinding route(PathCause cause, String type, String to) throws IOException {
    var rules = new RoutingRules(view, source, destination);
    Optional<PolicyRule> rule = rules.discarding(type);
    if (rule.isPresent()) {
      return rules.discarded(rule.get(), type);
    }
    String version = IpFamily.of(destination) == IpFamily.IPV4 ? "" : "-6 ";
    return new PathFinding(
        cause,
        "a route of type %s of %s covers %s".formatted(type, view, to),
        "delete it: \"%s\" lists such routes"
            .formatted(view.ip(version + "route show table all type " + type)));
  }

  /** Since Linux 6.13 the kernel reports EINVAL for this, too, instead of EXDEV. */
  private boolean isRejectedByReversePath() throws IOException {
    if (input.isEmpty() || source.isEmpty() || IpFamily.of(destination) != IpFamily.IPV4) {
      return false;
    }
    boolean isStrict =
        view.sysctl("net/ipv4/conf/" + input.get().name() + "/rp_filter")
                .filter("1"::equals)
                .isPresent()
            || view.sysctl("net/ipv4/conf/all/rp_filter").filter("1"::equals).isPresent();
    if (!isStrict) {
      return false;
    }
    try {
      Route back = view.routes().route(RouteLookup.output(source.get(), Optional.empty()));
      return back.hops().stream().noneMatch(hop -> hop.link() == input.get().index());
    } catch (NetlinkException e) {
      return true; // no route back at all
    }
  }

  private PathFinding reversePath() {
    String link = input.map(Link::name).orElse("?");
    String from = source.map(InetAddresses::format).orElse("?");
    return new PathFinding(
        PathCause.REVERSE_PATH,
        "rp_filter of %s: %s came in by %s, and the route back to it leaves by another interface"
            .formatted(view, from, link),
        "correct the route to %s, or set net.ipv4.conf.%s.rp_filter=2 and that of \"all\" to 0 or 2"
            .formatted(from, link));
  }

  /** Returns whether a namespace forwards packets that come in by a link. */
  static boolean isForwarding(NamespaceView view, IpFamily family, Link input) throws IOException {
    String version = family == IpFamily.IPV4 ? "ipv4" : "ipv6";
    String key = "net/" + version + "/conf/" + input.name() + "/forwarding";
    return view.sysctl(key).filter("0"::equals).isEmpty();
  }

  static PathFinding notForwarding(NamespaceView view, IpFamily family, Link input)
      throws IOException {
    boolean isV4 = family == IpFamily.IPV4;
    boolean isOnForOthers =
        isV4 && view.sysctl("net/ipv4/ip_forward").filter("1"::equals).isPresent();
    // An interface name may have dots; sysctl takes slashes as separators, too.
    String key =
        isOnForOthers
            ? (input.name().indexOf('.') < 0
                ? "net.ipv4.conf." + input.name() + ".forwarding"
                : "net/ipv4/conf/" + input.name() + "/forwarding")
            : isV4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
    return new PathFinding(
        PathCause.NOT_FORWARDING,
        "%s does not forward %s packets that come in by %s"
            .formatted(view, isV4 ? "IPv4" : "IPv6", input.name()),
        "sysctl -w " + key + "=1");
  }
}
