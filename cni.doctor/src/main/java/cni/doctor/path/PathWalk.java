// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import static cni.netlink.ffm.route.RtnetlinkConstants.RTN_LOCAL;

import cni.api.InetAddresses;
import cni.doctor.RemedyText;
import cni.doctor.path.LinkWalk.Place;
import cni.doctor.path.PathStep.Stage;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.PolicyRule;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteLookup;
import java.io.IOException;
import java.net.InetAddress;
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
  private final WalkLog log = new WalkLog();
  private final LinkWalk links;

  private Optional<NamespaceView> receiver = Optional.empty();

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

  private PathWalk(
      Namespaces namespaces,
      PathQuery query,
      Optional<Translation> translation,
      Optional<InetAddress> source,
      InetAddress destination) {
    this.namespaces = namespaces;
    this.query = query;
    this.links = new LinkWalk(namespaces, query, log);
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
      walk.log.fail(host, Stage.FORWARD, "from " + text(source), problem.find(e));
    }
    return walk;
  }

  List<PathStep> steps() {
    return log.steps();
  }

  List<String> notes() {
    return log.notes();
  }

  /** Returns the first obstacle; empty if there is none. */
  Optional<PathFinding> finding() {
    return log.finding();
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
    log.conclude();
  }

  /** Routes the packet at a place and moves it to the next one; empty at the end of the path. */
  private Optional<Place> advance(Place place) throws IOException {
    NamespaceView view = place.view();
    translate(view);
    Stage stage = place.input().isEmpty() ? Stage.SEND : Stage.FORWARD;
    Optional<Route> found = route(place, stage);
    if (found.isEmpty()) {
      return Optional.empty();
    }
    Route route = found.get();
    if (route.type() == RTN_LOCAL) {
      String name = view.owner(destination).map(Link::name).orElse("lo");
      log.step(view, Stage.RECEIVE, text(destination) + " is an address of " + name);
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
      log.fail(view, stage, text, obstacle.get());
      return Optional.empty();
    }
    log.step(view, stage, text);
    return links.transit(view, out, hop.gateway().orElse(destination));
  }

  private void translate(NamespaceView view) {
    boolean isTranslated =
        translation
            .filter(it -> it.view() == view && !it.address().equals(destination))
            .isPresent();
    if (isTranslated) {
      Translation to = translation.get();
      destination = to.address();
      String port = to.port() == 0 ? "" : ":" + to.port();
      log.step(view, Stage.TRANSLATE, "destination becomes " + text(destination) + port);
    }
  }

  /** Returns the route that the packet takes at a place; empty if it is stopped there. */
  private Optional<Route> route(Place place, Stage stage) throws IOException {
    NamespaceView view = place.view();
    String to = "to " + text(destination);
    Optional<PathFinding> loopback = LinkProblem.loopback(view, destination);
    if (place.input().isEmpty() && loopback.isPresent()) {
      log.fail(view, stage, to, loopback.get());
      return Optional.empty();
    }
    noteRules(view);
    try {
      return Optional.of(view.routes().route(lookup(place)));
    } catch (NetlinkException e) {
      var problem = new RouteProblem(namespaces, view, place.input(), destination, source);
      boolean isLost = e.errno() == Errno.ENETUNREACH || e.errno() == Errno.EHOSTUNREACH;
      Optional<PathFinding> lost = isLost ? lostAddress(view) : Optional.empty();
      log.fail(view, stage, to, lost.isPresent() ? lost.get() : problem.find(e));
      return Optional.empty();
    }
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
    Optional<PathFinding> tooLong = links.tooLong(view, out.name(), out.mtu());
    if (route.mtu() > 0 && size > route.mtu()) { // which a link further on may have caused
      log.suspect(log.steps().size(), longerThanRoute(view, route));
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
      log.notes()
          .add(
              "%s of %s may route it otherwise, by table %d: it depends on more than the addresses"
                  .formatted(rules.describe(rule), view, rule.table()));
    }
  }

  private static String text(InetAddress address) {
    return InetAddresses.format(address);
  }
}
