// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.PluginEvent;
import cni.api.PluginEvent.Kind;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.packet.ArpPacket;
import cni.netlink.ffm.packet.ArpSocket;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Mac;
import cni.netlink.ffm.route.RouteSocket;
import cni.runtime.Cni;
import cni.runtime.Subscription;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.net.InetAddress;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The passive detection of conflicts of IPv4 addresses. */
@KernelTest
class AddressConflictTest {
  /** The first address of the network, which container a gets. */
  private static final String ADDRESS = "10.50.0.2";

  private final BlockingQueue<PluginEvent> events = new LinkedBlockingQueue<>();
  private final TestHost host;
  private final NetNs a;
  private final NetNs b;
  private final Cni cni;

  AddressConflictTest(TestHost host) throws IOException, CniException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
    host.dualStack("n", "");
    cni = host.builder().build();
  }

  @AfterEach
  void close() {
    cni.close();
  }

  private void recordConflict(PluginEvent event) {
    if (event.kind() == Kind.ADDRESS_CONFLICT || event.kind() == Kind.EVENTS_LOST) {
      events.add(event);
    }
  }

  private static Link eth0(NetNs netns) throws IOException {
    try (RouteSocket routes = RouteSocket.open(netns)) {
      return routes.link("eth0").orElseThrow();
    }
  }

  private static void announce(NetNs netns, String mac) throws IOException {
    try (ArpSocket socket = ArpSocket.open(netns, 0, Set.of())) {
      InetAddress address = InetAddress.getByName(ADDRESS);
      socket.announce(eth0(netns).index(), ArpPacket.REQUEST, Mac.parse(mac), address);
    }
  }

  private static int packetSockets(NetNs netns) throws IOException {
    String table = TestBed.run(netns, "cat", "/proc/net/packet");
    return (int) table.lines().count() - 1;
  }

  private static void awaitPacketSockets(NetNs netns, int expected) throws Exception {
    for (int i = 0; i < 500 && packetSockets(netns) != expected; i++) {
      Thread.sleep(20);
    }
    assertEquals(expected, packetSockets(netns));
  }

  private void assertConflict(NetNs container, String mac) throws InterruptedException {
    PluginEvent event = events.poll(10, TimeUnit.SECONDS);
    assertTrue(event != null, "no event");
    assertEquals(
        "address %s/24 of eth0 in %s is in use by another host on this network, with the hardware address %s"
            .formatted(ADDRESS, container.path(), mac),
        event.message());
    assertEquals(Kind.ADDRESS_CONFLICT, event.kind());
    assertEquals("n", event.network());
    assertEquals(attachment(container).id(), event.attachment().orElseThrow());
  }

  private void assertNothing() throws InterruptedException {
    PluginEvent event = events.poll(1500, TimeUnit.MILLISECONDS);
    assertTrue(event == null, () -> String.valueOf(event));
  }

  @Test
  void addressThatAnotherContainerTakesIsReportedOnce() throws Exception {
    try (Subscription subscription = cni.onEvent(this::recordConflict)) {
      assertEquals(List.of(), subscription.failures());
      cni.network("n").add(attachment(a));
      cni.network("n").add(attachment(b));
      awaitPacketSockets(a, 1);
      awaitPacketSockets(b, 1);
      TestBed.run(b, "ip", "address", "add", ADDRESS + "/24", "dev", "eth0");
      // The kernel asks for an address that nobody has, in the name of the other container's.
      TestBed.tryRun(b, "ping", "-c", "1", "-W", "1", "-I", ADDRESS, "10.50.0.99");
      assertConflict(a, eth0(b).mac());
      TestBed.tryRun(b, "ping", "-c", "1", "-W", "1", "-I", ADDRESS, "10.50.0.98");
      assertNothing();
    }
  }

  @Test
  void hostileNeighbourCausesOneEvent() throws Exception {
    cni.network("n").add(attachment(a));
    cni.network("n").add(attachment(b));
    try (Subscription _ = cni.onEvent(this::recordConflict)) {
      awaitPacketSockets(a, 1);
      for (int i = 0; i < 50; i++) {
        announce(b, "c2:00:00:00:00:%02x".formatted(i));
      }
      assertConflict(a, "c2:00:00:00:00:00");
      assertNothing();
    }
  }

  @Test
  void ownAnnouncementsAreNotReported() throws Exception {
    cni.network("n").add(attachment(a));
    cni.network("n").add(attachment(b));
    try (Subscription _ = cni.onEvent(this::recordConflict)) {
      awaitPacketSockets(a, 1);
      announce(a, eth0(a).mac());
      announce(b, eth0(a).mac()); // as a bridge in a loop returns it
      assertNothing();
      TestBed.run(a, "ip", "link", "set", "eth0", "address", "c2:00:00:00:00:0a");
      announce(a, "c2:00:00:00:00:0a");
      assertNothing();
      announce(b, "c2:00:00:00:00:0b"); // the watch still works
      assertConflict(a, "c2:00:00:00:00:0b");
    }
  }

  @Test
  void addressThatMovedIsNotReported() throws Exception {
    cni.network("n").add(attachment(a));
    cni.network("n").add(attachment(b));
    try (Subscription _ = cni.onEvent(this::recordConflict)) {
      awaitPacketSockets(a, 1);
      TestBed.run(a, "ip", "address", "del", ADDRESS + "/24", "dev", "eth0");
      TestBed.run(b, "ip", "address", "add", ADDRESS + "/24", "dev", "eth0");
      announce(b, eth0(b).mac());
      assertNothing();
    }
  }

  @Test
  void socketsAreClosedWithTheAttachmentAndTheSubscription() throws Exception {
    cni.network("n").add(attachment(a));
    cni.network("n").add(attachment(b));
    assertEquals(0, packetSockets(a));
    try (Subscription _ = cni.onEvent(this::recordConflict)) {
      awaitPacketSockets(a, 1);
      awaitPacketSockets(b, 1);
      cni.network("n").delete(attachment(b));
      awaitPacketSockets(b, 0);
    }
    assertEquals(0, packetSockets(a));
    cni.network("n").add(attachment(b));
    announce(b, "c2:00:00:00:00:0b");
    assertNothing();
  }

  /** A socket keeps its namespace, and the host's end of the veth, in existence. */
  @Test
  void deletedNamespaceIsReleased() throws Exception {
    cni.network("n").add(attachment(a));
    try (Subscription _ = cni.onEvent(this::recordConflict)) {
      awaitPacketSockets(a, 1);
      host.delete(a);
      for (int i = 0; i < 500 && !TestBed.linkNames(host.netns(), "veth").isEmpty(); i++) {
        Thread.sleep(20);
      }
      assertEquals(List.of(), TestBed.linkNames(host.netns(), "veth"));
    }
  }
}
