// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.InetAddresses;
import cni.doctor.path.Flight.Answer;
import cni.doctor.path.PathStep.Stage;
import cni.doctor.path.PathStep.State;
import cni.doctor.path.Sighting.Marker;
import cni.netlink.ffm.nftables.TraceEvent;
import cni.runtime.CachedAttachment;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/** What became of a packet, by what was seen of it and by the configuration of its path. */
final class Judgement {
  private final Namespaces namespaces;
  private final PathQuery query;
  private final PathWalk walk;
  private final ListenerSearch listeners;
  private final List<String> notes;

  Judgement(Namespaces namespaces, PathQuery query, PathWalk walk, List<String> notes) {
    this.namespaces = namespaces;
    this.query = query;
    this.walk = walk;
    this.listeners = new ListenerSearch(namespaces, query);
    this.notes = new ArrayList<>(notes);
    this.notes.addAll(walk.notes());
  }

  /** Judges by the configuration alone. */
  PathReport withoutProbe() throws IOException {
    Optional<PathFinding> finding = walk.finding();
    if (walk.destinationPort().isPresent() && LoopbackSource.isOf(query)) {
      finding = Optional.of(LoopbackSource.find(namespaces, query));
    }
    Fate fate = finding.isPresent() ? Fate.LOST : Fate.NO_OBSTACLE;
    int port = walk.destinationPort().orElse(query.port());
    if (walk.receiver().isPresent()) {
      Optional<PathFinding> problem =
          listeners.problem(walk.receiver().get(), walk.destination(), port);
      finding = problem.isPresent() ? problem : finding;
    }
    return new PathReport(query, walk.source(), fate, finding, cut(walk.steps()), notes);
  }

  /** Judges by a probe. */
  PathReport of(Flight flight) throws IOException {
    Optional<Sighting> delivery = last(flight, it -> it.isForward() && it.isDelivery());
    Optional<Sighting> drop = last(flight, it -> it.isForward() && it.isDrop());
    boolean isAnswered = flight.answer() == Answer.ANSWERED;
    boolean isRefused = flight.answer() == Answer.REFUSED;
    Optional<PathFinding> untranslated = isAnswered ? Optional.empty() : untranslated();
    if (untranslated.isPresent() && drop.isEmpty()) {
      return report(flight, Fate.LOST, untranslated);
    }
    if (delivery.isPresent()) {
      boolean needsAnswer = query.protocol() != ProbeProtocol.UDP;
      if (needsAnswer && !isAnswered && !isRefused) {
        return report(flight, Fate.UNANSWERED, unanswered(flight, delivery.get()));
      }
      return report(
          flight,
          Fate.ARRIVES,
          isRefused ? Optional.of(refused(flight, delivery.get())) : Optional.empty());
    }
    if (isAnswered) {
      return report(flight, Fate.ARRIVES, Optional.empty());
    }
    // A repeated request belongs to a connection that the answer has established: it may be dropped
    // by the rule that has dropped the answer.
    Optional<Sighting> lostAnswer = last(flight, it -> !it.isForward() && it.isDrop());
    if (lostAnswer.isPresent()) {
      PathFinding finding = dropped(flight, lostAnswer.get(), "the answer is ");
      return report(flight, Fate.UNANSWERED, Optional.of(finding));
    }
    if (drop.isPresent()) {
      return report(flight, Fate.LOST, Optional.of(dropped(flight, drop.get(), "")));
    }
    if (isRefused) {
      PathFinding finding = listeners.absent(query.destination().name(), query.port());
      return report(flight, Fate.ARRIVES, Optional.of(finding));
    }
    return undelivered(flight);
  }

  private static Optional<Sighting> last(Flight flight, Predicate<Sighting> condition) {
    return flight.sightings().stream().filter(condition).reduce((_, next) -> next);
  }

  private PathReport undelivered(Flight flight) throws IOException {
    boolean isTranslated = walk.destinationPort().isPresent();
    if (isTranslated && LoopbackSource.isOf(query)) {
      PathFinding finding = LoopbackSource.find(namespaces, query);
      return report(flight, Fate.LOST, Optional.of(finding));
    }
    if (isTranslated && walk.finding().isPresent()) { // for lack of a route, in the hook output
      return report(flight, Fate.LOST, walk.finding());
    }
    Optional<NamespaceView> unrouted = unrouted(flight);
    if (unrouted.isPresent()) {
      var rules = new RoutingRules(unrouted.get(), source(flight), walk.destination());
      Optional<PathFinding> obstacle = rules.obstacle(query);
      if (obstacle.isPresent()) {
        return report(flight, Fate.LOST, obstacle);
      }
    }
    Optional<PathFinding> vanished = vanishedInHook(flight, true);
    if (vanished.isPresent()) {
      return report(flight, Fate.LOST, vanished);
    }
    if (walk.finding().isPresent()) {
      return report(flight, Fate.LOST, walk.finding());
    }
    boolean leaves = !walk.steps().isEmpty() && walk.steps().getLast().stage() == Stage.LEAVE;
    if (leaves && unrouted.isEmpty() && flight.answer() == Answer.NONE) {
      return query.protocol() == ProbeProtocol.UDP
          ? report(flight, Fate.LEAVES, Optional.empty())
          : report(flight, Fate.UNANSWERED, Optional.of(noAnswer(flight)));
    }
    return report(flight, Fate.LOST, Optional.of(lost(flight, true, "the packet")));
  }

  /**
   * Returns the namespace whose rules before the routing decision the packet has passed, or whose
   * own it is, and in which it was not seen after that decision; empty if there is none, or not all
   * namespaces could be traced.
   */
  private Optional<NamespaceView> unrouted(Flight flight) throws IOException {
    if (!flight.problems().isEmpty()) {
      return Optional.empty();
    }
    Optional<NamespaceView> source = namespaces.of(query.source());
    boolean isSent = flight.sightings().stream().anyMatch(Sighting::isForward);
    if (!isSent) {
      return source;
    }
    return flight.sightings().stream()
        .filter(it -> it.isForward() && !it.hook().bridge())
        .map(Sighting::view)
        .filter(
            view ->
                flight.sightings().stream()
                    .noneMatch(it -> it.isForward() && it.view() == view && it.isRouted()))
        .findFirst();
  }

  private Optional<InetAddress> source(Flight flight) {
    return last(flight, Sighting::isForward)
        .map(it -> flight.key().source(it.headers()))
        .or(walk::source);
  }

  /** Finds a hook that packets have entered and not left, though no rule dropped them. */
  private static Optional<PathFinding> vanishedInHook(Flight flight, boolean forward) {
    for (Sighting it : flight.sightings()) {
      boolean isFirst = it.marker().filter(Marker.FIRST::equals).isPresent();
      boolean hasLeft =
          flight.sightings().stream()
              .anyMatch(
                  other ->
                      other.isForward() == forward
                          && other.isAt(it.view(), it.hook(), Marker.LAST));
      if (it.isForward() == forward && isFirst && !hasLeft) {
        return Optional.of(
            new PathFinding(
                PathCause.OTHER_FILTER,
                "it vanishes in hook %s of %s, and no rule of nf_tables dropped it"
                    .formatted(it.hook(), it.view()),
                "look for rules of iptables-legacy (iptables-legacy -S) and for eBPF programs"));
      }
    }
    return Optional.empty();
  }

  private static PathFinding lost(Flight flight, boolean forward, String subject) {
    Optional<Sighting> last = last(flight, it -> it.isForward() == forward);
    boolean isError = forward && flight.answer() == Answer.ERROR;
    String error = isError ? ", errno " + flight.errno() + " for its sender" : "";
    String where =
        last.map(it -> "after hook %s of %s".formatted(it.hook(), it.view()))
            .orElse("before the first hook");
    return new PathFinding(PathCause.UNKNOWN, subject + " vanishes " + where + error, "");
  }

  private PathFinding dropped(Flight flight, Sighting drop, String subject) throws IOException {
    boolean isPolicy = drop.event().step() == TraceEvent.Step.POLICY;
    String text =
        "%sdropped by %s, hook %s of %s"
            .formatted(subject, flight.rules().describe(drop), drop.hook(), drop.view());
    return new PathFinding(
        isPolicy ? PathCause.CHAIN_POLICY : PathCause.RULE,
        text,
        new DropRemedy(namespaces, query, walk.destinationPort().isPresent())
            .find(drop, flight.rules()));
  }

  private Optional<PathFinding> unanswered(Flight flight, Sighting delivery) throws IOException {
    Optional<Sighting> drop = last(flight, it -> !it.isForward() && it.isDrop());
    if (drop.isPresent()) {
      return Optional.of(dropped(flight, drop.get(), "the answer is "));
    }
    InetAddress back = flight.key().source(delivery.headers());
    PathWalk way =
        PathWalk.from(namespaces, delivery.view(), Optional.empty(), back, query, Optional.empty());
    if (way.finding().isPresent()) {
      PathFinding it = way.finding().get();
      return Optional.of(new PathFinding(it.cause(), "the way back: " + it.text(), it.remedy()));
    }
    Optional<PathFinding> vanished = vanishedInHook(flight, false);
    return vanished.isPresent() ? vanished : Optional.of(lost(flight, false, "the answer"));
  }

  private PathFinding noAnswer(Flight flight) {
    Optional<Sighting> last = last(flight, Sighting::isForward);
    Optional<InetAddress> from = last.map(it -> flight.key().source(it.headers()));
    boolean isUntranslated = from.filter(it -> namespaces.attachment(it).isPresent()).isPresent();
    String place = last.map(it -> it.view().name()).orElse(query.source().name());
    String text =
        "the packet leaves %s with the %ssource address %s, and no answer comes back"
            .formatted(
                place,
                isUntranslated ? "untranslated " : "",
                from.map(InetAddresses::format).orElse("?"));
    return new PathFinding(
        PathCause.NO_ANSWER,
        text,
        isUntranslated
            ? masqueradeRemedy(from.flatMap(namespaces::attachment).orElseThrow())
            : "look at the destination and at filters on the way");
  }

  private static String masqueradeRemedy(CachedAttachment attachment) {
    return Namespaces.isMasqueraded(attachment)
        ? Namespaces.repairCommand(attachment)
        : "set \"ipMasq\" of network %s, or give the destination a route to the container"
            .formatted(attachment.network());
  }

  /** Returns that no rule translates a port of the host that an attachment publishes. */
  private Optional<PathFinding> untranslated() throws IOException {
    if (walk.destinationPort().isPresent() || namespaces.host().owner(query.address()).isEmpty()) {
      return Optional.empty();
    }
    return namespaces
        .publisher(query)
        .map(
            it ->
                new PathFinding(
                    PathCause.NOT_TRANSLATED,
                    "%s publishes port %d, but no rule translates it"
                        .formatted(Namespaces.name(it), query.port()),
                    Namespaces.repairCommand(it)));
  }

  private PathFinding refused(Flight flight, Sighting delivery) throws IOException {
    return listeners.refused(
        delivery.view(),
        flight.key().destination(delivery.headers()),
        flight.key().destinationPort(delivery.headers()));
  }

  private PathReport report(Flight flight, Fate fate, Optional<PathFinding> finding) {
    Optional<InetAddress> source =
        flight.sightings().stream()
            .filter(Sighting::isForward)
            .findFirst()
            .map(it -> flight.key().source(it.headers()));
    List<PathStep> steps = new StepRules(walk.steps(), flight).steps(fate, finding);
    if (fate.isGood() && walk.finding().isPresent()) {
      notes.add("in spite of this: " + walk.finding().get().text());
    }
    return new PathReport(
        query, source.isPresent() ? source : walk.source(), fate, finding, steps, notes);
  }

  /** Marks the steps after a failed one. */
  static List<PathStep> cut(List<PathStep> steps) {
    List<PathStep> cut = new ArrayList<>();
    boolean failed = false;
    for (PathStep step : steps) {
      cut.add(failed ? step.with(State.NOT_REACHED) : step);
      failed |= step.state() == State.FAILED;
    }
    return cut;
  }
}
