// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.InetAddresses;
import cni.doctor.RemedyText;
import cni.doctor.path.Namespaces.NamespaceLink;
import cni.doctor.path.PathStep.Stage;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import java.io.IOException;
import java.net.InetAddress;
import java.util.Optional;

/** The way of a routed packet over veth pairs, bridges and macvlans to its next hop. */
final class LinkWalk {
  private final Namespaces namespaces;
  private final PathQuery query;
  private final WalkLog log;

  /** The port by which a bridge has passed the packet up to its own namespace. */
  private Optional<Link> ingress = Optional.empty();

  /**
   * Where a packet is to be routed.
   *
   * @param input the link that it came in by; empty where it is sent
   */
  record Place(NamespaceView view, Optional<Link> input) {}

  LinkWalk(Namespaces namespaces, PathQuery query, WalkLog log) {
    this.namespaces = namespaces;
    this.query = query;
    this.log = log;
  }

  /** Returns that the packet is longer than a link transmits; empty if it is not. */
  Optional<PathFinding> tooLong(NamespaceView view, String link, int mtu) {
    if (query.size() <= mtu) {
      return Optional.empty();
    }
    return Optional.of(
        new PathFinding(
            PathCause.MTU,
            "the packet of %d bytes is longer than the MTU of %s of %s, %d"
                .formatted(query.size(), link, view, mtu),
            RemedyText.commented(
                view.ip("link set %s mtu %d".formatted(link, query.size())),
                "all interfaces of the path need one MTU: see \"mtu\" of the bridge plugin")));
  }

  /** Moves a packet over a link to its next hop; empty at the end of its path. */
  Optional<Place> transit(NamespaceView view, Link out, InetAddress nextHop) throws IOException {
    return switch (out.kind()) {
      case "veth" -> overVeth(view, out, nextHop);
      case "bridge" ->
          overBridge(
              new NamespaceLink(view, out), bridgedFrom(view, out, nextHop), view, out, nextHop);
      case "macvlan" -> overMacvlan(view, out, nextHop);
      default -> leave(view, out, nextHop);
    };
  }

  /**
   * Returns the port that the packet has come in by if the bridge forwards it itself: br_netfilter
   * translates on the bridge, and what stays on it is not routed.
   */
  private Optional<Link> bridgedFrom(NamespaceView view, Link bridge, InetAddress nextHop)
      throws IOException {
    boolean isSame = ingress.filter(it -> it.master() == bridge.index()).isPresent();
    String key = IpFamily.of(nextHop) == IpFamily.IPV4 ? "iptables" : "ip6tables";
    return isSame && view.sysctl("net/bridge/bridge-nf-call-" + key).filter("1"::equals).isPresent()
        ? ingress
        : Optional.empty();
  }

  private Optional<Place> overVeth(NamespaceView view, Link out, InetAddress nextHop)
      throws IOException {
    Optional<NamespaceLink> peer = namespaces.peer(view, out);
    if (peer.isEmpty()) {
      return leave(view, out, nextHop);
    }
    NamespaceLink other = peer.get();
    String text = "veth " + out.name() + " to " + other.link().name() + " of " + other.view();
    Optional<PathFinding> problem = LinkProblem.of(other.view(), other.link());
    if (problem.isEmpty()) {
      problem = tooLong(other.view(), other.link().name(), other.link().mtu());
    }
    if (problem.isPresent()) {
      log.fail(view, Stage.LINK, text, problem.get());
      return Optional.empty();
    }
    if (other.link().master() != 0) {
      Link bridge = other.view().link(other.link().master());
      if (bridge.isKind("bridge")) {
        log.step(view, Stage.LINK, text + ", port of " + bridge.name());
        NamespaceLink at = new NamespaceLink(other.view(), bridge);
        return overBridge(at, Optional.of(other.link()), view, out, nextHop);
      }
    }
    Optional<PathFinding> detached = BridgeProblem.detached(namespaces, other);
    if (detached.isPresent()) {
      log.fail(view, Stage.LINK, text, detached.get());
      return Optional.empty();
    }
    var entry = new NeighbourEntry(view, out, nextHop);
    boolean isOwner = other.view().owner(nextHop).isPresent();
    if (!isOwner && entry.isUnresolved()) {
      log.fail(view, Stage.LINK, text, entry.unresolved());
      return Optional.empty();
    }
    log.step(view, Stage.LINK, text);
    return neighbourIsRight(view, out, nextHop, other)
        ? Optional.of(new Place(other.view(), Optional.of(other.link())))
        : Optional.empty();
  }

  /**
   * Passes a frame through a bridge to the owner of the next hop.
   *
   * @param in the port that it came in by; empty if the bridge's own namespace sends it
   * @param sender the namespace that the frame is from, whose neighbours it uses
   */
  private Optional<Place> overBridge(
      NamespaceLink bridge, Optional<Link> in, NamespaceView sender, Link out, InetAddress nextHop)
      throws IOException {
    NamespaceView view = bridge.view();
    String name = "bridge " + bridge.link().name();
    if (!bridge.link().isUp()) {
      log.fail(view, Stage.BRIDGE, name, LinkProblem.down(view, bridge.link()));
      return Optional.empty();
    }
    Optional<NamespaceLink> owner = namespaces.owner(nextHop);
    if (owner.isEmpty()) {
      return toUnknown(bridge, sender, out, nextHop);
    }
    NamespaceLink to = owner.get();
    if (to.view() == view) {
      log.step(view, Stage.BRIDGE, name + " receives it itself");
      ingress = in;
      return neighbourIsRight(sender, out, nextHop, bridge)
          ? Optional.of(new Place(view, Optional.of(bridge.link())))
          : Optional.empty();
    }
    Optional<NamespaceLink> port = namespaces.peer(to.view(), to.link());
    Optional<PathFinding> problem =
        port.isPresent() ? BridgeProblem.detached(namespaces, port.get()) : Optional.empty();
    if (problem.isEmpty()) {
      problem = new BridgeProblem(bridge, in, port, to, query.size()).find(nextHop);
    }
    if (problem.isPresent()) {
      log.fail(view, Stage.BRIDGE, name, problem.get());
      return Optional.empty();
    }
    log.step(view, Stage.BRIDGE, name + " to port " + port.orElseThrow().link().name());
    return neighbourIsRight(sender, out, nextHop, to)
        ? Optional.of(new Place(to.view(), Optional.of(to.link())))
        : Optional.empty();
  }

  /** The next hop may be another machine, if the bridge has a port to the outside. */
  private Optional<Place> toUnknown(
      NamespaceLink bridge, NamespaceView sender, Link out, InetAddress nextHop)
      throws IOException {
    NamespaceView view = bridge.view();
    boolean hasUplink = false;
    for (Link link : view.routes().links()) {
      hasUplink |= link.master() == bridge.link().index() && !link.isKind("veth");
    }
    boolean isKnown = new NeighbourEntry(sender, out, nextHop).isLearnt();
    String name = "bridge " + bridge.link().name();
    if (hasUplink && isKnown) {
      log.step(view, Stage.LEAVE, name + " to the owner of " + text(nextHop));
      return Optional.empty();
    }
    log.fail(view, Stage.BRIDGE, name, new MissingAddress(namespaces, nextHop).find());
    return Optional.empty();
  }

  /** Macvlans of one parent reach each other and the outside, but not the host. */
  private Optional<Place> overMacvlan(NamespaceView view, Link out, InetAddress nextHop)
      throws IOException {
    Optional<NamespaceLink> owner = namespaces.owner(nextHop);
    boolean isSibling =
        owner
            .map(NamespaceLink::link)
            .filter(it -> it.isKind("macvlan") && it.linkedIndex() == out.linkedIndex())
            .isPresent();
    if (!isSibling) {
      return leave(view, out, nextHop);
    }
    NamespaceLink to = owner.orElseThrow();
    String text = "macvlan " + out.name() + " to " + to.link().name() + " of " + to.view();
    Optional<PathFinding> problem = LinkProblem.of(to.view(), to.link());
    if (problem.isPresent()) {
      log.fail(view, Stage.LINK, text, problem.get());
      return Optional.empty();
    }
    log.step(view, Stage.LINK, text);
    return neighbourIsRight(view, out, nextHop, to)
        ? Optional.of(new Place(to.view(), Optional.of(to.link())))
        : Optional.empty();
  }

  private Optional<Place> leave(NamespaceView view, Link out, InetAddress nextHop)
      throws IOException {
    Optional<PathFinding> carrier = LinkProblem.of(view, out);
    if (carrier.isPresent()) {
      log.fail(view, Stage.LEAVE, "by " + out.name(), carrier.get());
      return Optional.empty();
    }
    var entry = new NeighbourEntry(view, out, nextHop);
    if (entry.isUnresolved()) {
      String text = "by " + out.name() + " to " + text(nextHop);
      log.fail(view, Stage.LEAVE, text, entry.unresolved());
      return Optional.empty();
    }
    log.step(view, Stage.LEAVE, "by " + out.name() + " to " + text(nextHop));
    return Optional.empty();
  }

  /** Checks the entry of the neighbour table that a sender uses, if it has one. */
  private boolean neighbourIsRight(
      NamespaceView view, Link out, InetAddress address, NamespaceLink owner) throws IOException {
    var entry = new NeighbourEntry(view, out, address);
    Optional<PathFinding> unanswered = entry.unanswered(owner, query.probe());
    // The reverse path filter of the owner drops ARP requests, too: the walk goes on to find that.
    unanswered.ifPresent(it -> log.suspect(log.steps().size() - 1, it));
    Optional<String> mismatch = entry.mismatch(owner.link().mac());
    if (mismatch.isEmpty()) {
      return true;
    }
    if (!entry.isPermanent()) {
      log.notes().add(mismatch.get() + "; the kernel will notice");
      return true;
    }
    log.fail(view, Stage.LINK, "neighbour " + text(address), entry.wrong(mismatch.get()));
    return false;
  }

  private static String text(InetAddress address) {
    return InetAddresses.format(address);
  }
}
