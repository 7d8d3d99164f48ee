// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Traffic that is established before a change and must survive it: for each address a {@linkplain
 * EchoStream TCP stream} and a {@linkplain PingSeries ping} at intervals of 1 ms.
 *
 * <pre>{@code
 * try (var probe = TrafficProbe.start(client, container, "10.50.0.2", "fd50::2")) {
 *   change();
 *   probe.requireNoLoss();
 * }
 * }</pre>
 */
public final class TrafficProbe implements AutoCloseable {
  private static final Duration MAX_STALL = Duration.ofSeconds(20);

  private final List<EchoStream> streams = new ArrayList<>();
  private final List<PingSeries> pings = new ArrayList<>();

  private TrafficProbe() {}

  /**
   * Starts the traffic from a client to the addresses of a server, and returns once it flows.
   *
   * @param addresses IPv4 and IPv6 addresses of the server
   * @throws AssertionError if no traffic flows to one of them
   * @throws IOException if a namespace cannot be entered
   */
  public static TrafficProbe start(NetNs client, NetNs server, String... addresses)
      throws IOException {
    return start(client, server, 0, 0, addresses);
  }

  /**
   * Starts the traffic to addresses at which a port is forwarded to the server. The pings go to the
   * addresses themselves.
   *
   * @param port the port that the client connects to; 0 for that of the server
   * @param serverPort the port that the server listens on; 0 for a free one
   * @throws AssertionError if no traffic flows to one of the addresses
   * @throws IOException if a namespace cannot be entered or the port is in use
   */
  public static TrafficProbe start(
      NetNs client, NetNs server, int port, int serverPort, String... addresses)
      throws IOException {
    var probe = new TrafficProbe();
    // One listener for all addresses: a process that another thread starts at this moment keeps a
    // closed one alive until it executes its program, and the port cannot be bound until then.
    try (ServerSocket listener =
        server.<ServerSocket, IOException>call(() -> new ServerSocket(serverPort))) {
      for (String address : addresses) {
        var target = new InetSocketAddress(InetAddress.ofLiteral(address), port);
        probe.streams.add(EchoStream.start(client, target, listener));
        probe.pings.add(PingSeries.start(client, address));
      }
      for (PingSeries ping : probe.pings) {
        ping.awaitFirst();
      }
      return probe;
    } catch (IOException | AssertionError e) {
      probe.close();
      throw e;
    }
  }

  /**
   * Requires that nothing was lost so far and that traffic still flows in both directions: every
   * byte has arrived once and in order, no connection was reset, no stream has stalled for 20 s and
   * every ping has been answered. Ends the streams.
   *
   * @throws AssertionError with what was lost on each address
   */
  public void requireNoLoss() {
    requireNoLoss(MAX_STALL);
  }

  /**
   * As {@link #requireNoLoss()}, without the pings: for a change in which the kernel drops packets.
   *
   * @throws AssertionError with what was lost on each address
   */
  public void requireNoByteLost() {
    require(streams.stream().flatMap(stream -> stream.losses(MAX_STALL).stream()).toList());
  }

  /**
   * As {@link #requireNoLoss()}, with another bound.
   *
   * @param maxStall the longest time in which no byte of a stream may have arrived
   */
  public void requireNoLoss(Duration maxStall) {
    require(
        Stream.concat(
                pings.stream().map(PingSeries::losses),
                streams.stream().map(stream -> stream.losses(maxStall)))
            .flatMap(List::stream)
            .toList());
  }

  private static void require(List<String> losses) {
    if (!losses.isEmpty()) {
      throw new AssertionError("traffic was interrupted: " + String.join("; ", losses));
    }
  }

  /**
   * Requires that no stream flows any longer: its connection was reset, or no byte arrives. The
   * pings are not considered, since the host may answer them itself.
   *
   * @throws AssertionError if a stream still flows after 20 seconds
   */
  public void requireCut() {
    List<String> flowing =
        streams.stream().filter(stream -> !stream.isCut()).map(EchoStream::toString).toList();
    if (!flowing.isEmpty()) {
      throw new AssertionError("not cut: " + flowing);
    }
  }

  /** Ends the traffic. */
  @Override
  public void close() {
    pings.forEach(PingSeries::close);
    streams.forEach(EchoStream::close);
  }
}
