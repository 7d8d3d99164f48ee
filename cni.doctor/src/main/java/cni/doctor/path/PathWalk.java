package cni.doctor.path;

import static cni.netlink.ffm.route.RtnetlinkConstants.RTN_LOCAL;

import cni.api.InetAddresses;
import cni.doctor.RemedyText;
import cni.doctor.path.Namespaces.NamespaceLink;
import cni.doctor.path.PathStep.Stage;
import cni.doctor.path.PathStep.State;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.PolicyRule;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteLookup;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The path of a packet by the configuration: routes, links, bridges, neighbours. It is walked up to
 * the first obstacle. Rules are not evaluated; translations of addresses are given.
 */
final class PathWalk {
  private static final int MAX_ROUTERS = 16;

  private final Namespaces namespaces;
  private final PathQuery query;
  private final int size;
  private final Optional<Translation> translation;
  private final List<PathStep> steps = new ArrayList<>();
  private final List<String> notes = new ArrayList<>();
  private Optional<PathFinding> finding = Optional.empty();

  /** That the route of a step has a smaller MTU than its interface, learned from a later hop. */
  private Optional<RouteMtu> routeMtu = Optional.empty();

  private Optional<NamespaceView> receiver = Optional.empty();

  /** The port by which a bridge has passed the packet up to its own namespace. */
  private Optional<Link> ingress = Optional.empty();

  private Optional<InetAddress> source;
  private InetAddress destination;

  /**
   * A translation of the destination address.
   *
   * @param view where it takes place
   * @param address the address that the packet has afterwards
   * @param port the port that it has afterwards, 0 if the protocol has none
   */
  record Translation(NamespaceView view, InetAddress address, int port) {}

  /**
   * Where a packet is to be routed.
   *
   * @param input the link that it came in by; empty where it is sent
   */
  private record Place(NamespaceView view, Optional<Link> input) {}

  private record RouteMtu(int step, PathFinding problem) {}

  private PathWalk(
      Namespaces namespaces,
      PathQuery query,
      Optional<Translation> translation,
      Optional<InetAddress> source,
      InetAddress destination) {
    this.namespaces = namespaces;
    this.query = query;
    this.size = query.size();
    this.translation = translation;
    this.source = source;
    this.destination = destination;
  }

  /**
   * Walks the path of a packet.
   *
   * @param source its source address; empty for the one that the route suggests
   * @param query the packet that is followed, to which this one may be the answer
   */
  static PathWalk from(
      Namespaces namespaces,
      NamespaceView start,
      Optional<InetAddress> source,
      InetAddress destination,
      PathQuery query,
      Optional<Translation> translation)
      throws IOException {
    var walk = new PathWalk(namespaces, query, translation, source, destination);
    walk.run(new Place(start, Optional.empty()));
    return walk;
  }

  /**
   * Walks the path of a packet from outside, from the link that the host has towards its source.
   */
  static PathWalk fromOutside(
      Namespaces namespaces, InetAddress source, PathQuery query, Optional<Translation> translation)
      throws IOException {
    NamespaceView host = namespaces.host();
    var from = Optional.of(source);
    var walk = new PathWalk(namespaces, query, translation, from, query.address());
    try {
      Route back = host.routes().route(RouteLookup.output(source, Optional.empty()));
      Link input = host.link(back.hops().getFirst().link());
      walk.run(new Place(host, Optional.of(input)));
    } catch (NetlinkException e) {
      var problem = new RouteProblem(namespaces, host, Optional.empty(), source, Optional.empty());
      walk.fail(host, Stage.FORWARD, "from " + text(source), problem.find(e));
    }
    return walk;
  }

  List<PathStep> steps() {
    return steps;
  }

  List<String> notes() {
    return notes;
  }

  /** Returns the first obstacle; empty if there is none. */
  Optional<PathFinding> finding() {
    return finding;
  }

  /** Returns the namespace that the packet is delivered to; empty if it leaves, or is stopped. */
  Optional<NamespaceView> receiver() {
    return receiver;
  }

  /** Returns the destination after the translation. */
  InetAddress destination() {
    return destination;
  }

  /** Returns the destination port after the translation; empty if there is none. */
  OptionalInt destinationPort() {
    return translation.isPresent() ? OptionalInt.of(translation.get().port()) : OptionalInt.empty();
  }

  Optional<InetAddress> source() {
    return source;
  }

  private void run(Place start) throws IOException {
    Optional<Place> place = Optional.of(start);
    for (int i = 0; i < MAX_ROUTERS && place.isPresent(); i++) {
      place = advance(place.get());
    }
    if (finding.isEmpty() && routeMtu.isPresent()) {
      int index = routeMtu.get().step();
      steps.set(index, steps.get(index).with(State.FAILED));
      finding = Optional.of(routeMtu.get().problem());
    }
  }

  /** Routes the packet at a place and moves it to the next one; empty at the end of the path. */
  private Optional<Place> advance(Place place) throws IOException {
    NamespaceView view = place.view();
    boolean isTranslated =
        translation
            .filter(it -> it.view() == view && !it.address().equals(destination))
            .isPresent();
    if (isTranslated) {
      Translation to = translation.get();
      destination = to.address();
      String port = to.port() == 0 ? "" : ":" + to.port();
      step(view, Stage.TRANSLATE, "destination becomes " + text(destination) + port);
    }
    Stage stage = place.input().isEmpty() ? Stage.SEND : Stage.FORWARD;
    Optional<PathFinding> loopback = LinkProblem.loopback(view, destination);
    if (place.input().isEmpty() && loopback.isPresent()) {
      fail(view, stage, loopback.get());
      return Optional.empty();
    }
    noteRules(view);
    Route route;
    try {
      route = view.routes().route(lookup(place));
    } catch (NetlinkException e) {
      var problem = new RouteProblem(namespaces, view, place.input(), destination, source);
      boolean isLost = e.errno() == Errno.ENETUNREACH || e.errno() == Errno.EHOSTUNREACH;
      Optional<PathFinding> lost = isLost ? lostAddress(view) : Optional.empty();
      fail(view, stage, lost.isPresent() ? lost.get() : problem.find(e));
      return Optional.empty();
    }
    if (route.type() == RTN_LOCAL) {
      String name = view.owner(destination).map(Link::name).orElse("lo");
      step(view, Stage.RECEIVE, text(destination) + " is an address of " + name);
      receiver = Optional.of(view);
      return Optional.empty();
    }
    Route.Hop hop = route.hops().getFirst();
    Link out = view.link(hop.link());
    if (source.isEmpty()) {
      source = route.source();
    }
    String via = hop.gateway().map(it -> " via " + text(it)).orElse("");
    String text = "route to " + text(destination) + via + " dev " + out.name();
    Optional<PathFinding> obstacle = obstacle(place, out, route);
    if (obstacle.isPresent()) {
      fail(view, stage, text, obstacle.get());
      return Optional.empty();
    }
    step(view, stage, text);
    return transit(view, out, hop.gateway().orElse(destination));
  }

  private Optional<PathFinding> lostAddress(NamespaceView view) throws IOException {
    return new MissingAddress(namespaces, destination).behind(view);
  }

  private RouteLookup lookup(Place place) {
    boolean isFromItself = source.equals(Optional.of(destination)); // answered in translation
    Optional<InetAddress> from = isFromItself ? Optional.empty() : source;
    return place.input().isPresent() && from.isPresent()
        ? RouteLookup.input(from.get(), destination, place.input().get().index())
        : RouteLookup.output(destination, place.input().isEmpty() ? from : Optional.empty());
  }

  private Optional<PathFinding> obstacle(Place place, Link out, Route route) throws IOException {
    NamespaceView view = place.view();
    IpFamily family = IpFamily.of(destination);
    if (place.input().isPresent()
        && !RouteProblem.isForwarding(view, family, place.input().get())) {
      return Optional.of(RouteProblem.notForwarding(view, family, place.input().get()));
    }
    boolean isByRouter = route.hops().getFirst().gateway().isPresent();
    if (isByRouter && view == namespaces.host()) {
      // Without the route to the containers' network, what is for them takes the default route.
      Optional<PathFinding> lost = lostAddress(view);
      if (lost.isPresent()) {
        return lost;
      }
    }
    Optional<PathFinding> tooLong = tooLong(view, out.name(), out.mtu());
    if (route.mtu() > 0 && size > route.mtu() && routeMtu.isEmpty()) {
      routeMtu = Optional.of(new RouteMtu(steps.size(), longerThanRoute(view, route)));
    }
    return tooLong.isPresent() || out.isUp() ? tooLong : Optional.of(LinkProblem.down(view, out));
  }

  private PathFinding longerThanRoute(NamespaceView view, Route route) {
    return new PathFinding(
        PathCause.MTU,
        "the packet of %d bytes is longer than the path MTU of the route of %s to %s, %d"
            .formatted(size, view, text(destination), route.mtu()),
        RemedyText.commented(
            view.ip("route get " + text(destination)),
            "shows it: a router further on reported this MTU, or the route was added with it"));
  }

  /** Notes the rules of policy routing that a lookup by addresses alone does not evaluate. */
  private void noteRules(NamespaceView view) throws IOException {
    var rules = new RoutingRules(view, source, destination);
    for (PolicyRule rule : rules.undecided(query)) {
      notes.add(
          "%s of %s may route it otherwise, by table %d: it depends on more than the addresses"
              .formatted(rules.describe(rule), view, rule.table()));
    }
  }

  private Optional<PathFinding> tooLong(NamespaceView view, String link, int mtu) {
    if (size <= mtu) {
      return Optional.empty();
    }
    return Optional.of(
        new PathFinding(
            PathCause.MTU,
            "the packet of %d bytes is longer than the MTU of %s of %s, %d"
                .formatted(size, link, view, mtu),
            RemedyText.commented(
                view.ip("link set %s mtu %d".formatted(link, size)),
                "all interfaces of the path need one MTU: see \"mtu\" of the bridge plugin")));
  }

  /** Moves a packet over a link to its next hop. */
  private Optional<Place> transit(NamespaceView view, Link out, InetAddress nextHop)
      throws IOException {
    return switch (out.kind()) {
      case "veth" -> overVeth(view, out, nextHop);
      case "bridge" ->
          overBridge(new NamespaceLink(view, out), bridgedFrom(view, out), view, out, nextHop);
      case "macvlan" -> overMacvlan(view, out, nextHop);
      default -> leave(view, out, nextHop);
    };
  }

  /**
   * Returns the port that the packet has come in by if the bridge forwards it itself: br_netfilter
   * translates on the bridge, and what stays on it is not routed.
   */
  private Optional<Link> bridgedFrom(NamespaceView view, Link bridge) throws IOException {
    boolean isSame = ingress.filter(it -> it.master() == bridge.index()).isPresent();
    String key = IpFamily.of(destination) == IpFamily.IPV4 ? "iptables" : "ip6tables";
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
      fail(view, Stage.LINK, text, problem.get());
      return Optional.empty();
    }
    if (other.link().master() != 0) {
      Link bridge = other.view().link(other.link().master());
      if (bridge.isKind("bridge")) {
        step(view, Stage.LINK, text + ", port of " + bridge.name());
        NamespaceLink at = new NamespaceLink(other.view(), bridge);
        return overBridge(at, Optional.of(other.link()), view, out, nextHop);
      }
    }
    Optional<PathFinding> detached = BridgeProblem.detached(namespaces, other);
    if (detached.isPresent()) {
      fail(view, Stage.LINK, text, detached.get());
      return Optional.empty();
    }
    var entry = new NeighbourEntry(view, out, nextHop);
    boolean isOwner = other.view().owner(nextHop).isPresent();
    if (!isOwner && entry.isUnresolved()) {
      fail(view, Stage.LINK, text, entry.unresolved());
      return Optional.empty();
    }
    step(view, Stage.LINK, text);
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
      fail(view, Stage.BRIDGE, name, LinkProblem.down(view, bridge.link()));
      return Optional.empty();
    }
    Optional<NamespaceLink> owner = namespaces.owner(nextHop);
    if (owner.isEmpty()) {
      return toUnknown(bridge, sender, out, nextHop);
    }
    NamespaceLink to = owner.get();
    if (to.view() == view) {
      step(view, Stage.BRIDGE, name + " receives it itself");
      ingress = in;
      return neighbourIsRight(sender, out, nextHop, bridge)
          ? Optional.of(new Place(view, Optional.of(bridge.link())))
          : Optional.empty();
    }
    Optional<NamespaceLink> port = namespaces.peer(to.view(), to.link());
    Optional<PathFinding> problem =
        port.isPresent() ? BridgeProblem.detached(namespaces, port.get()) : Optional.empty();
    if (problem.isEmpty()) {
      problem = new BridgeProblem(bridge, in, port, to, size).find(nextHop);
    }
    if (problem.isPresent()) {
      fail(view, Stage.BRIDGE, name, problem.get());
      return Optional.empty();
    }
    step(view, Stage.BRIDGE, name + " to port " + port.orElseThrow().link().name());
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
      step(view, Stage.LEAVE, name + " to the owner of " + text(nextHop));
      return Optional.empty();
    }
    fail(view, Stage.BRIDGE, name, new MissingAddress(namespaces, nextHop).find());
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
      fail(view, Stage.LINK, text, problem.get());
      return Optional.empty();
    }
    step(view, Stage.LINK, text);
    return neighbourIsRight(view, out, nextHop, to)
        ? Optional.of(new Place(to.view(), Optional.of(to.link())))
        : Optional.empty();
  }

  private Optional<Place> leave(NamespaceView view, Link out, InetAddress nextHop)
      throws IOException {
    Optional<PathFinding> carrier = LinkProblem.of(view, out);
    if (carrier.isPresent()) {
      fail(view, Stage.LEAVE, "by " + out.name(), carrier.get());
      return Optional.empty();
    }
    var entry = new NeighbourEntry(view, out, nextHop);
    if (entry.isUnresolved()) {
      String text = "by " + out.name() + " to " + text(nextHop);
      fail(view, Stage.LEAVE, text, entry.unresolved());
      return Optional.empty();
    }
    step(view, Stage.LEAVE, "by " + out.name() + " to " + text(nextHop));
    return Optional.empty();
  }

  /** Checks the entry of the neighbour table that a sender uses, if it has one. */
  private boolean neighbourIsRight(
      NamespaceView view, Link out, InetAddress address, NamespaceLink owner) throws IOException {
    var entry = new NeighbourEntry(view, out, address);
    Optional<PathFinding> unanswered = entry.unanswered(owner, query.probe());
    if (unanswered.isPresent()) {
      fail(view, Stage.LINK, "neighbour " + text(address), unanswered.get());
      return false;
    }
    Optional<String> mismatch = entry.mismatch(owner.link().mac());
    if (mismatch.isEmpty()) {
      return true;
    }
    if (!entry.isPermanent()) {
      notes.add(mismatch.get() + "; the kernel will notice");
      return true;
    }
    fail(view, Stage.LINK, "neighbour " + text(address), entry.wrong(mismatch.get()));
    return false;
  }

  private void step(NamespaceView view, Stage stage, String text) {
    steps.add(new PathStep(view.name(), stage, State.PASSED, text, List.of()));
  }

  private void fail(NamespaceView view, Stage stage, PathFinding problem) {
    fail(view, stage, "to " + text(destination), problem);
  }

  private void fail(NamespaceView view, Stage stage, String text, PathFinding problem) {
    steps.add(new PathStep(view.name(), stage, State.FAILED, text, List.of()));
    finding = Optional.of(problem);
  }

  private static String text(InetAddress address) {
    return InetAddresses.format(address);
  }
}
