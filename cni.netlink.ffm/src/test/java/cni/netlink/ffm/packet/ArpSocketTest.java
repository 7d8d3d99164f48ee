// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.packet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.Mac;
import cni.netlink.ffm.route.RouteSocket;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.io.IOException;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

@KernelTest
class ArpSocketTest {
  private static final String FOREIGN_MAC = "c2:11:22:33:44:55";

  private final TestBed bed = new TestBed();
  private final NetNs peer = bed.namespace("peer");
  private final Inet4Address watched = address("10.50.0.2");
  private final Inet4Address other = address("10.50.0.3");

  ArpSocketTest() throws IOException {
    TestBed.connect(bed.netns(), "a0", peer, "b0");
  }

  @AfterEach
  void close() throws IOException {
    bed.close();
  }

  private static Inet4Address address(String text) throws IOException {
    return (Inet4Address) InetAddress.getByName(text);
  }

  private static int index(NetNs netns, String link) throws IOException {
    try (RouteSocket routing = RouteSocket.open(netns)) {
      return routing.links(link).getFirst().index();
    }
  }

  private static void announce(NetNs netns, String link, Inet4Address address) throws IOException {
    try (ArpSocket socket = ArpSocket.open(netns, 0, Set.of())) {
      byte[] mac = Mac.parse(FOREIGN_MAC);
      socket.announce(index(netns, link), ArpPacket.REQUEST, mac, address);
    }
  }

  /** Receives until there are as many packets as expected, and then those that follow at once. */
  private static List<ArpPacket> receive(ArpSocket socket, int expected) throws Exception {
    List<ArpPacket> packets = new ArrayList<>(socket.receive());
    for (int i = 0; i < 500 && packets.size() < expected; i++) {
      Thread.sleep(10);
      packets.addAll(socket.receive());
    }
    packets.addAll(socket.receive());
    return packets;
  }

  @Test
  void onlyPacketsOfTheGivenSendersAreReceived() throws Exception {
    try (ArpSocket socket =
        ArpSocket.open(bed.netns(), index(bed.netns(), "a0"), Set.of(watched))) {
      announce(peer, "b0", other);
      announce(bed.netns(), "a0", watched); // outgoing
      announce(peer, "b0", watched);
      var expected = new ArpPacket(ArpPacket.REQUEST, FOREIGN_MAC, watched, watched);
      assertEquals(List.of(expected), receive(socket, 1));
    }
  }

  @Test
  void eachOfManySendersIsReceived() throws Exception {
    List<Inet4Address> senders = new ArrayList<>();
    for (int i = 1; i <= 128; i++) {
      senders.add(address("10.50.1." + i));
    }
    try (ArpSocket socket = ArpSocket.open(bed.netns(), 0, senders)) {
      announce(peer, "b0", senders.getFirst());
      announce(peer, "b0", other);
      announce(peer, "b0", senders.getLast());
      List<InetAddress> received =
          receive(socket, 2).stream().map(ArpPacket::senderAddress).toList();
      assertEquals(List.of(senders.getFirst(), senders.getLast()), received);
    }
  }

  @Test
  void socketSurvivesALinkThatGoesDown() throws Exception {
    try (ArpSocket socket =
        ArpSocket.open(bed.netns(), index(bed.netns(), "a0"), Set.of(watched))) {
      TestBed.run(bed.netns(), "ip", "link", "set", "a0", "down");
      assertEquals(List.of(), socket.receive());
      TestBed.run(bed.netns(), "ip", "link", "set", "a0", "up");
      announce(peer, "b0", watched);
      assertEquals(1, receive(socket, 1).size());
    }
  }

  @Test
  void unknownLinkIsRefused() {
    KernelException e =
        assertThrows(
            KernelException.class, () -> ArpSocket.open(bed.netns(), 9999, Set.of(watched)));
    assertTrue(e.is(Errno.ENODEV), e::getMessage);
  }
}
