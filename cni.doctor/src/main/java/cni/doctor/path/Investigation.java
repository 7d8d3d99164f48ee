// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.doctor.path.Namespaces.NamespaceLink;
import cni.doctor.path.PathWalk.Translation;
import cni.runtime.CachedAttachment;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** One query: sends the probe, walks the path and judges both. */
final class Investigation {
  private final Namespaces namespaces;
  private final List<CachedAttachment> attachments;
  private final PathQuery query;
  private final List<String> notes = new ArrayList<>();

  Investigation(Namespaces namespaces, List<CachedAttachment> attachments, PathQuery query) {
    this.namespaces = namespaces;
    this.attachments = attachments;
    this.query = query;
  }

  PathReport report() throws CniException, IOException {
    Optional<NamespaceView> destination = namespaces.of(query.destination());
    if (query.source() instanceof PathEnd.Outside outside) {
      notes.add("not sent: the source is outside; rules were not evaluated");
      Optional<Translation> published = published();
      var walk = PathWalk.fromOutside(namespaces, outside.address(), query, published);
      return new Judgement(namespaces, query, walk, notes).withoutProbe();
    }
    NamespaceView source =
        namespaces
            .of(query.source())
            .orElseThrow(
                () ->
                    new CniException(
                        ErrorCode.INVALID_NAMESPACE,
                        "the namespace of " + query.source().name() + " does not exist"));
    if (!query.probe()) {
      notes.add("not sent, as asked; rules were not evaluated");
      PathWalk walk = walk(source, published());
      return new Judgement(namespaces, query, walk, notes).withoutProbe();
    }
    return probed(source, destination);
  }

  /** Returns the query without a source address that the source has lost. */
  private PathQuery sendable(NamespaceView source) throws IOException {
    Optional<InetAddress> address = query.sourceAddress();
    if (address.isEmpty() || source.owner(address.get()).isPresent()) {
      return query;
    }
    notes.add(
        "%s does not have the address %s: sent from another"
            .formatted(source, InetAddresses.format(address.get())));
    return new PathQuery(
        query.source(),
        query.destination(),
        query.address(),
        query.protocol(),
        query.port(),
        query.size(),
        query.probe());
  }

  private PathReport probed(NamespaceView source, Optional<NamespaceView> destination)
      throws IOException {
    Set<NamespaceView> traced = new LinkedHashSet<>(List.of(source, namespaces.host()));
    destination.ifPresent(traced::add);
    var counters = new DropCounters(traced);
    PathQuery sent = sendable(source);
    Flight flight = Flight.send(sent, source, traced, query.port());
    Optional<Translation> translation = translation(flight);
    if (translation.isPresent()) {
      Optional<NamespaceLink> owner = namespaces.owner(translation.get().address());
      if (owner.isPresent() && traced.add(owner.get().view())) {
        // The packet goes to a container that was not known to be involved: once more, with it.
        flight = Flight.send(sent, source, traced, translation.get().port());
        translation = translation(flight);
      }
    }
    notes.addAll(flight.problems());
    PathWalk walk = walk(source, translation);
    if (translation.isEmpty() && !flight.isDelivered()) {
      // Without a route to the container the kernel drops the packet while it is translated.
      PathWalk translated = walk(source, published());
      walk = translated.finding().isPresent() ? translated : walk;
    }
    PathReport report = new Judgement(namespaces, query, walk, notes).of(flight);
    if (report.fate() != Fate.LOST) {
      return report;
    }
    List<String> all = new ArrayList<>(report.notes());
    all.addAll(counters.increases());
    return new PathReport(
        query, report.sourceAddress(), report.fate(), report.finding(), report.steps(), all);
  }

  private PathWalk walk(NamespaceView source, Optional<Translation> translation)
      throws IOException {
    return PathWalk.from(
        namespaces, source, query.sourceAddress(), query.address(), query, translation);
  }

  /**
   * Returns the first translation of the destination that was seen. Sightings of several namespaces
   * are not in their order, and the host may send a translated packet back to its sender: the
   * translation is the host's if the host has seen both destinations.
   */
  private Optional<Translation> translation(Flight flight) {
    NamespaceView host = namespaces.host();
    boolean isOriginalOnHost =
        flight.sightings().stream()
            .anyMatch(it -> it.isForward() && it.view() == host && !isTranslated(flight, it));
    List<Sighting> translated =
        flight.sightings().stream().filter(it -> isTranslated(flight, it)).toList();
    return translated.stream()
        .filter(it -> isOriginalOnHost && it.view() == host)
        .findFirst()
        .or(() -> translated.stream().findFirst())
        .map(
            it ->
                new Translation(
                    it.view(),
                    flight.key().destination(it.headers()),
                    flight.key().destinationPort(it.headers())));
  }

  private boolean isTranslated(Flight flight, Sighting sighting) {
    return sighting.isForward()
        && !flight.key().destination(sighting.headers()).equals(query.address());
  }

  /** Returns the translation by which a port of the host is published, as it is stored. */
  private Optional<Translation> published() throws IOException {
    if (namespaces.host().owner(query.address()).isEmpty()) {
      return Optional.empty();
    }
    return attachments.stream()
        .flatMap(it -> PublishedTarget.of(it, query).stream())
        .findFirst()
        .map(it -> new Translation(namespaces.host(), it.address(), it.port()));
  }
}
