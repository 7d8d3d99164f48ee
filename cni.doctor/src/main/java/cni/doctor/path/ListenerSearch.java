// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.InetAddresses;
import cni.doctor.socket.ListeningSocket;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Which programs wait for a packet where it arrives.
 *
 * @param query the packet as it was sent; its destination may have been translated since
 */
record ListenerSearch(Namespaces namespaces, PathQuery query) {
  /** Returns that no program receives the packet; empty if one does, and for ICMP. */
  Optional<PathFinding> problem(NamespaceView view, InetAddress address, int port)
      throws IOException {
    boolean isReceived =
        !query.protocol().hasPorts()
            || sockets(view, port).stream().anyMatch(it -> it.receives(address));
    return isReceived ? Optional.empty() : Optional.of(refused(view, address, port));
  }

  /**
   * Returns why a packet is refused by the namespace that it was delivered to: its programs listen
   * on other addresses, or none listens on the port.
   */
  PathFinding refused(NamespaceView view, InetAddress address, int port) throws IOException {
    List<ListeningSocket> others = sockets(view, port);
    if (!others.isEmpty() && others.stream().noneMatch(it -> it.receives(address))) {
      return elsewhere(view, address, others);
    }
    if (view == namespaces.host() && others.isEmpty() && namespaces.publisher(query).isEmpty()) {
      Optional<PathFinding> other = publishedElsewhere();
      return other.isPresent() ? other.get() : unpublished(port);
    }
    return absent(view.name(), port);
  }

  /** Returns that the destination refuses the packet, where its namespace cannot be seen. */
  PathFinding absent(String place, int port) {
    return new PathFinding(
        PathCause.NO_LISTENER,
        "no program of %s listens on %s port %d".formatted(place, query.protocol().name(), port),
        "start the program, on the container's address or on all addresses");
  }

  private PathFinding elsewhere(
      NamespaceView view, InetAddress address, List<ListeningSocket> sockets) {
    String addresses =
        sockets.stream()
            .map(it -> InetAddresses.format(it.address()))
            .distinct()
            .collect(Collectors.joining(", "));
    String wanted = InetAddresses.format(address);
    return new PathFinding(
        PathCause.NO_LISTENER,
        "the program of %s on %s port %d listens on %s only, not on %s"
            .formatted(view.name(), query.protocol(), sockets.getFirst().port(), addresses, wanted),
        "make the program listen on %s, or on all addresses".formatted(wanted));
  }

  /** Returns that the port is published on another address of the host; empty if it is not. */
  private Optional<PathFinding> publishedElsewhere() {
    return namespaces
        .publisherElsewhere(query)
        .map(
            it ->
                new PathFinding(
                    PathCause.NO_LISTENER,
                    "%s publishes port %d on %s only, not on %s"
                        .formatted(
                            Namespaces.name(it.attachment()),
                            query.port(),
                            InetAddresses.format(it.hostIp()),
                            InetAddresses.format(query.address())),
                    "ask for %s, or publish the port without a host address (\"hostIP\")"
                        .formatted(InetAddresses.format(it.hostIp()))));
  }

  private PathFinding unpublished(int port) {
    return new PathFinding(
        PathCause.NO_LISTENER,
        "port %d is not published by any attachment, and no program of host listens on %s port %d"
            .formatted(port, query.protocol(), port),
        "start the program on the host; or publish a container's port: cni update NETWORK NETNS"
            + " --publish %d:PORT".formatted(port));
  }

  private List<ListeningSocket> sockets(NamespaceView view, int port) throws IOException {
    String protocol = query.protocol().name().toLowerCase(Locale.ROOT);
    List<ListeningSocket> found = new ArrayList<>();
    for (String file : ListeningSocket.FILES) {
      if (file.startsWith(protocol)) {
        found.addAll(ListeningSocket.parse(file, view.procNet(file)));
      }
    }
    found.removeIf(it -> it.port() != port);
    return found;
  }
}
