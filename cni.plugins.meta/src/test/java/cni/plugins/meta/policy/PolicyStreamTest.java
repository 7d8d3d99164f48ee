// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestHost;
import cni.testing.TrafficProbe;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Connections that exist when policies change: they continue, or they are cut at once. */
@KernelTest
class PolicyStreamTest {
  private static final Duration TIMEOUT = Duration.ofSeconds(60);
  private static final Duration SILENCE = Duration.ofMillis(1500);
  private static final String FROM_WEB =
      """
      { "name": "db", "podSelector": { "matchLabels": { "app": "db" } },
        "ingress": [ { "from": [ { "podSelector": { "matchLabels": { "app": "web" } } } ] } ] }
      """;
  private static final String DENY_DB =
      """
      { "name": "db", "podSelector": { "matchLabels": { "app": "db" } },
        "policyTypes": ["Ingress"] }
      """;
  private static final String DENY_WEB_EGRESS =
      """
      { "name": "db", "podSelector": { "matchLabels": { "app": "web" } },
        "policyTypes": ["Egress"] }
      """;

  private final PolicyWorld world;
  private final NetNs web;
  private final NetNs db;
  private final List<AutoCloseable> sockets = new ArrayList<>();

  PolicyStreamTest(TestHost host) throws Exception {
    world = new PolicyWorld(host);
    web = world.node("web").netns();
    db = world.node("db").netns();
  }

  @AfterEach
  void close() throws Exception {
    for (AutoCloseable socket : sockets) {
      socket.close();
    }
    world.close();
  }

  @Test
  void unrelatedChangesLoseNothing() throws Exception {
    world.apply("[" + FROM_WEB + "]");
    InetAddress v4 = world.node("db").v4();
    InetAddress v6 = world.node("db").v6();
    try (var traffic = TrafficProbe.start(web, db, v4.getHostAddress(), v6.getHostAddress())) {
      for (int i = 0; i < 30; i++) {
        world.apply("[" + FROM_WEB + "," + unrelated(i) + "]");
        if (i % 10 == 0) {
          world.relabel("mon", "app=mon,turn=" + i);
        }
      }
      world.apply("[" + FROM_WEB + "]");
      traffic.requireNoLoss(Duration.ofSeconds(20));
    }
  }

  /** Policies of other containers, and ones of these two that allow more. */
  private static String unrelated(int i) {
    return """
        { "name": "job", "podSelector": { "matchLabels": { "app": "%s" } },
          "policyTypes": ["Ingress", "Egress"] },
        { "name": "more", "podSelector": { "matchLabels": { "app": "db" } },
          "ingress": [ { "from": [ { "ipBlock": { "cidr": "10.60.0.%d/32" } } ],
                         "ports": [ { "port": %d, "endPort": 9000 } ] } ] }
        """
        .formatted(i % 2 == 0 ? "job" : "mon", i, 1000 + i);
  }

  @Test
  void forbiddenConnectionsAreCutAndContinue() throws Exception {
    for (String denial : List.of(DENY_DB, DENY_WEB_EGRESS)) {
      world.apply("[" + FROM_WEB + "]");
      List<AtomicLong> counters = new ArrayList<>();
      for (boolean isV4 : new boolean[] {true, false}) {
        InetAddress address = world.node("db").address(isV4);
        counters.add(tcp(address, false));
        counters.add(tcp(address, true));
        counters.add(udp(address));
      }
      counters.forEach(PolicyStreamTest::requireFlow);
      world.apply("[" + denial + "]");
      counters.forEach(PolicyStreamTest::requireSilence);
      assertEquals(Optional.empty(), Probe.tcp(web, world.node("db").v4().getHostAddress(), 80));
      world.apply("[" + FROM_WEB + "]");
      counters.forEach(PolicyStreamTest::requireFlow);
      assertTrue(Probe.tcp(web, world.node("db").v6().getHostAddress(), 80).isPresent());
    }
  }

  @Test
  void aLabelThatIsTakenAwayCuts() throws Exception {
    world.apply("[" + FROM_WEB + "]");
    AtomicLong counter = tcp(world.node("db").v4(), false);
    requireFlow(counter);
    world.relabel("web", "app=other");
    requireSilence(counter);
    world.relabel("web", "app=web");
    requireFlow(counter);
  }

  /**
   * The kernel picks connections up again while there are no rules, in the direction of a reply.
   */
  @Test
  void whatIsCutStaysSoAfterAFlushAndARepair() throws Exception {
    world.apply("[" + FROM_WEB + "]");
    List<AtomicLong> counters = new ArrayList<>();
    for (boolean isV4 : new boolean[] {true, false}) {
      counters.add(tcp(world.node("db").address(isV4), false));
      counters.add(udp(world.node("db").address(isV4)));
    }
    counters.forEach(PolicyStreamTest::requireFlow);
    world.apply("[" + DENY_DB + "]");
    counters.forEach(PolicyStreamTest::requireSilence);
    world.flush();
    counters.forEach(PolicyStreamTest::requireFlow);
    world.restore();
    counters.forEach(PolicyStreamTest::requireSilence);
    world.apply("[" + FROM_WEB + "]");
    counters.forEach(PolicyStreamTest::requireFlow);
  }

  private static void requireFlow(AtomicLong counter) {
    long before = counter.get();
    await(() -> counter.get() >= before + 3, "nothing arrives");
  }

  /** What still arrives was on its way: a connection that is not cut is never silent. */
  private static void requireSilence(AtomicLong counter) {
    long[] last = {counter.get(), System.nanoTime()};
    await(
        () -> {
          if (counter.get() != last[0]) {
            last[0] = counter.get();
            last[1] = System.nanoTime();
          }
          return System.nanoTime() - last[1] > SILENCE.toNanos();
        },
        "the connection is not cut");
  }

  private static void await(java.util.function.BooleanSupplier condition, String otherwise) {
    long end = System.nanoTime() + TIMEOUT.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end) {
        throw new AssertionError(otherwise);
      }
      pause();
    }
  }

  private static void pause() {
    try {
      Thread.sleep(10);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Something that a thread of a connection does again and again. */
  private interface Action {
    void run() throws IOException;
  }

  private static void repeat(Action action) {
    Thread.ofPlatform()
        .daemon()
        .start(
            () -> {
              try {
                while (true) {
                  action.run();
                }
              } catch (IOException e) {
                Thread.onSpinWait(); // closed
              }
            });
  }

  /** Connects the client to the server; one of them keeps sending. Counts what the other reads. */
  private AtomicLong tcp(InetAddress address, boolean clientSends) throws IOException {
    try (ServerSocket listener =
        db.<ServerSocket, IOException>call(() -> new ServerSocket(0, 1, address))) {
      Socket client =
          web.<Socket, IOException>call(() -> new Socket(address, listener.getLocalPort()));
      Socket server = listener.accept();
      sockets.add(client);
      sockets.add(server);
      Socket sender = clientSends ? client : server;
      Socket receiver = clientSends ? server : client;
      var counter = new AtomicLong();
      repeat(
          () -> {
            sender.getOutputStream().write('.');
            pause();
          });
      repeat(
          () -> {
            if (receiver.getInputStream().read() < 0) {
              throw new IOException("end");
            }
            counter.incrementAndGet();
          });
      return counter;
    }
  }

  /** The server keeps sending to a client that has asked once. */
  private AtomicLong udp(InetAddress address) throws IOException {
    DatagramSocket server =
        db.<DatagramSocket, IOException>call(() -> new DatagramSocket(0, address));
    DatagramSocket client = web.<DatagramSocket, IOException>call(() -> new DatagramSocket());
    sockets.add(client);
    sockets.add(server);
    byte[] data = {'?'};
    client.send(new DatagramPacket(data, 1, new InetSocketAddress(address, server.getLocalPort())));
    var request = new DatagramPacket(new byte[8], 8);
    server.setSoTimeout((int) TIMEOUT.toMillis());
    server.receive(request);
    var counter = new AtomicLong();
    repeat(
        () -> {
          server.send(new DatagramPacket(data, 1, request.getSocketAddress()));
          pause();
        });
    repeat(
        () -> {
          client.receive(new DatagramPacket(new byte[8], 8));
          counter.incrementAndGet();
        });
    return counter;
  }
}
