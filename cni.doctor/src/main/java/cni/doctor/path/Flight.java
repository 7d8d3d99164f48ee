// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.packet.ProbeSocket;
import cni.netlink.ffm.route.IpFamily;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.ThreadLocalRandom;

/**
 * A probe that was sent, and where it was seen.
 *
 * @param answer what the sender got back
 * @param errno the error of the system call, 0 for none
 * @param sightings where the probe and the answers to it were seen, in the order of each namespace
 * @param key what identifies the packets
 * @param rules the rules that the packets met, as text
 * @param problems why namespaces could not be traced
 */
record Flight(
    Answer answer,
    int errno,
    List<Sighting> sightings,
    FlowKey key,
    MetRules rules,
    List<String> problems) {
  /** Covers the repetition of a connection request after a second. */
  private static final Duration TIMEOUT = Duration.ofMillis(1300);

  private static final Duration POLL = Duration.ofMillis(25);

  /** How long a UDP datagram that was delivered may take to be refused. */
  private static final Duration REFUSAL = Duration.ofMillis(100);

  /** What the sender got back. */
  enum Answer {
    /** A connection, an echo reply or a datagram. */
    ANSWERED,
    /** The port is closed: a TCP reset, or ICMP port unreachable. */
    REFUSED,
    /** An error of the routing tables or of a router. */
    ERROR,
    NONE
  }

  /** Returns whether the probe got to a socket, or was answered. */
  boolean isDelivered() {
    return answer == Answer.ANSWERED
        || sightings.stream().anyMatch(it -> it.isForward() && it.isDelivery());
  }

  /**
   * Sends the probe of a query.
   *
   * @param from the namespace that sends it
   * @param traced the namespaces whose rules it is traced through
   * @param port the port that it has at the destination, if it may be translated
   * @throws IOException if no socket can be opened or the kernel's events cannot be read
   */
  static Flight send(
      PathQuery query, NamespaceView from, Collection<NamespaceView> traced, int port)
      throws IOException {
    byte[] cookie = new byte[FlowKey.COOKIE];
    ThreadLocalRandom.current().nextBytes(cookie);
    IpFamily family = IpFamily.of(query.address());
    ProbeSocket.Kind kind = query.protocol().kind();
    List<FlowTracer> tracers = new ArrayList<>();
    try (ProbeSocket socket = ProbeSocket.open(from.netns(), kind, family, query.sourceAddress())) {
      var key = new FlowKey(kind, family, socket.port(), cookie);
      List<String> problems = new ArrayList<>();
      String table = "cni_why_%08x".formatted(ThreadLocalRandom.current().nextInt());
      for (NamespaceView view : traced) {
        try {
          tracers.add(
              FlowTracer.start(
                  view, key, table, view == from ? OptionalInt.empty() : OptionalInt.of(port)));
        } catch (IOException e) {
          problems.add("rules of " + view + " cannot be traced: " + e.getMessage());
        }
      }
      var sender = new Sender(query, socket, cookie, tracers);
      sender.run();
      var rules = new MetRules(sender.sightings, tracers);
      return new Flight(sender.answer, sender.errno, sender.sightings, key, rules, problems);
    } finally {
      tracers.forEach(FlowTracer::close);
    }
  }

  /** Sends the probe and collects what comes of it. */
  private static final class Sender {
    private final PathQuery query;
    private final ProbeSocket socket;
    private final byte[] cookie;
    private final List<FlowTracer> tracers;
    private final List<Sighting> sightings = new ArrayList<>();
    private Answer answer = Answer.NONE;
    private int errno;

    Sender(PathQuery query, ProbeSocket socket, byte[] cookie, List<FlowTracer> tracers) {
      this.query = query;
      this.socket = socket;
      this.cookie = cookie;
      this.tracers = tracers;
    }

    void run() throws IOException {
      try {
        socket.connect(query.address(), query.port(), TIMEOUT);
        if (query.protocol() == ProbeProtocol.TCP) {
          answer = Answer.ANSWERED;
        } else {
          socket.send(payload());
          awaitAnswer();
        }
      } catch (KernelException e) {
        errno = e.errno();
        answer =
            switch (errno) {
              case Errno.ECONNREFUSED -> Answer.REFUSED;
              case Errno.EINPROGRESS, Errno.EAGAIN, Errno.ETIMEDOUT -> Answer.NONE;
              default -> Answer.ERROR;
            };
      }
      collect();
    }

    private byte[] payload() {
      int length = query.size() - PathQuery.headers(query.address());
      byte[] payload = new byte[Math.max(FlowKey.COOKIE, length)];
      System.arraycopy(cookie, 0, payload, 0, FlowKey.COOKIE);
      return payload;
    }

    private void awaitAnswer() throws IOException {
      boolean expectsAnswer = query.protocol() == ProbeProtocol.ICMP;
      long end = System.nanoTime() + TIMEOUT.toNanos();
      boolean delivered = false;
      while (System.nanoTime() - end < 0) {
        if (socket.receive(POLL)) {
          answer = Answer.ANSWERED;
          return;
        }
        collect();
        boolean seen = sightings.stream().anyMatch(it -> it.isForward() && it.isDelivery());
        if (!expectsAnswer && seen && !delivered) {
          delivered = true;
          end = System.nanoTime() + REFUSAL.toNanos();
        }
      }
    }

    private void collect() throws IOException {
      for (FlowTracer tracer : tracers) {
        sightings.addAll(tracer.drain());
      }
    }
  }
}
