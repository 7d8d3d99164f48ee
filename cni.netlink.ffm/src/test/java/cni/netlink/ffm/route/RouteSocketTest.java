// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.NetlinkResponse;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Requests of all kinds and what ip(8) lists after them. */
@KernelTest
class RouteSocketTest {
  private TestBed bed;
  private RouteSocket routing;

  @BeforeEach
  void open() throws IOException {
    bed = new TestBed();
    routing = RouteSocket.open(bed.netns());
  }

  @AfterEach
  void close() throws IOException {
    routing.close();
    bed.close();
  }

  @Test
  void vethIsCreatedWithPeerInOtherNamespaceAndAsBridgePort() throws IOException {
    NetNs container = bed.namespace("c");
    routing.execute(LinkSpec.bridge("br0").mac(Mac.parse("02:00:00:00:00:01")).up().request());
    Link bridge = routing.link("br0").orElseThrow();
    assertEquals("02:00:00:00:00:01", bridge.mac());
    LinkSpec peer =
        LinkSpec.peer("eth0").mtu(1400).mac(Mac.parse("02:00:00:00:00:02")).inNamespace(container);
    routing.execute(LinkSpec.veth("v0", peer).mtu(1400).master(bridge.index()).up().request());
    Link veth = routing.link("v0").orElseThrow();
    assertEquals("veth", veth.kind());
    assertEquals(bridge.index(), veth.master());
    assertEquals(1400, veth.mtu());
    assertTrue(veth.isUp());
    try (RouteSocket inside = RouteSocket.open(container)) {
      Link eth0 = inside.link("eth0").orElseThrow();
      assertEquals("02:00:00:00:00:02", eth0.mac());
      assertEquals(1400, eth0.mtu());
      assertEquals(veth.index(), eth0.linkedIndex());
      assertEquals(veth.linkedIndex(), eth0.index());
      inside.execute(LinkRequests.delete("eth0"));
    }
    assertTrue(routing.link("v0").isEmpty());
  }

  @Test
  void ipCommandShowsAddressesRoutesAndNeighboursAsRequested() throws IOException {
    routing.execute(LinkSpec.of("ifb", "i0").request());
    int index = routing.link("i0").orElseThrow().index();
    InetAddress v4 = InetAddress.ofLiteral("10.1.2.3");
    InetAddress v6 = InetAddress.ofLiteral("fd00:1::3");
    InetAddress gateway = InetAddress.ofLiteral("10.1.2.1");
    var hop = new Route.Hop(index, Optional.of(gateway));
    routing.execute(
        List.of(
            new InterfaceAddress(index, v4, 24).addRequest(),
            new InterfaceAddress(index, v6, 64, RtnetlinkConstants.IFA_F_NODAD).addRequest(),
            LinkRequests.setUp(index),
            Route.unicast(InetAddress.ofLiteral("10.9.0.0"), 16, hop)
                .withAttributes(7, 1000, RtnetlinkConstants.RT_SCOPE_UNIVERSE, 1300, 1260)
                .addRequest(),
            new Neighbour(
                    index,
                    InetAddress.ofLiteral("10.1.2.9"),
                    "02:00:00:00:00:09",
                    RtnetlinkConstants.NUD_PERMANENT)
                .replaceRequest()));
    String addresses = TestBed.run(bed.netns(), "ip", "addr", "show", "i0");
    assertTrue(addresses.contains("inet 10.1.2.3/24 brd 10.1.2.255"), addresses);
    assertTrue(addresses.contains("inet6 fd00:1::3/64"), addresses);
    String routes = TestBed.run(bed.netns(), "ip", "route", "show", "table", "1000");
    assertEquals("10.9.0.0/16 via 10.1.2.1 dev i0 metric 7 mtu 1300 advmss 1260", routes.strip());
    String neighbours = TestBed.run(bed.netns(), "ip", "neigh", "show", "dev", "i0");
    assertTrue(neighbours.contains("10.1.2.9 lladdr 02:00:00:00:00:09 PERMANENT"), neighbours);
    assertEquals(
        1, routing.neighbours(IpFamily.IPV4).stream().filter(n -> n.link() == index).count());
    Route read =
        routing.routes(IpFamily.IPV4).stream()
            .filter(route -> route.table() == 1000)
            .findFirst()
            .orElseThrow();
    assertEquals(List.of(hop), read.hops());
    assertEquals(
        List.of(7, 1300, 1260), List.of(read.priority(), read.mtu(), read.advertisedMss()));
  }

  @Test
  void multipathRoutesAreReadWithEachHop() throws IOException {
    TestBed.run(bed.netns(), "ip", "link", "add", "i0", "type", "ifb");
    TestBed.run(bed.netns(), "ip", "addr", "add", "10.1.0.2/24", "dev", "i0");
    TestBed.run(bed.netns(), "ip", "link", "set", "i0", "up");
    TestBed.run(
        bed.netns(),
        "ip",
        "route",
        "add",
        "10.5.0.0/16",
        "nexthop",
        "via",
        "10.1.0.3",
        "nexthop",
        "via",
        "10.1.0.4");
    InetAddress destination = InetAddress.ofLiteral("10.5.0.0");
    Route route =
        routing.routes(IpFamily.IPV4).stream()
            .filter(it -> it.hasDestination(destination, 16))
            .findFirst()
            .orElseThrow();
    List<String> gateways = new ArrayList<>();
    for (Route.Hop hop : route.hops()) {
      gateways.add(hop.gateway().orElseThrow().getHostAddress());
    }
    assertEquals(List.of("10.1.0.3", "10.1.0.4"), gateways);
  }

  @Test
  void dumpLongerThanOneDatagramIsReadCompletely() throws IOException {
    routing.execute(LinkSpec.of("ifb", "i0").request());
    int index = routing.link("i0").orElseThrow().index();
    List<NetlinkRequest> requests = new ArrayList<>();
    for (int i = 1; i <= 1000; i++) {
      var address = InetAddress.ofLiteral("10.2." + (i / 250) + "." + (i % 250 + 1));
      requests.add(new InterfaceAddress(index, address, 32).addRequest());
    }
    for (int i = 0; i < requests.size(); i += 100) {
      routing.execute(requests.subList(i, i + 100));
    }
    assertEquals(1000, routing.addresses(index).size());
    assertEquals(List.of(), routing.addresses(index + 1000));
  }

  @Test
  void batchLargerThanReceiveBufferGetsEveryResponse() throws IOException {
    List<NetlinkRequest> requests = new ArrayList<>();
    for (int i = 0; i < 2000; i++) {
      requests.add(LinkRequests.delete("missing" + i));
    }
    List<NetlinkResponse> responses = routing.exchange(requests);
    assertEquals(2000, responses.size());
    for (NetlinkResponse response : responses) {
      assertEquals(Errno.ENODEV, response.error().orElseThrow().errno());
    }
    assertTrue(routing.link("lo").isPresent()); // the socket is still usable
  }

  @Test
  void errorCarriesErrnoRequestAndExtendedAck() throws IOException {
    NetlinkException e =
        assertThrows(
            NetlinkException.class,
            () -> routing.execute(LinkSpec.of("nosuchkind", "x0").request()));
    assertEquals(Errno.EOPNOTSUPP, e.errno());
    assertEquals("Unknown device type", e.extendedAck());
    assertEquals(
        "create nosuchkind \"x0\": Operation not supported: Unknown device type (errno 95)",
        e.getMessage());
    assertTrue(routing.link("x0").isEmpty());
  }

  @Test
  void eachRequestOfBatchHasItsOwnResponse() throws IOException {
    List<NetlinkResponse> responses =
        routing.exchange(
            List.of(
                LinkSpec.of("ifb", "i0").request(),
                LinkRequests.get("missing"),
                LinkRequests.get("i0")));
    assertTrue(responses.get(0).error().isEmpty());
    assertEquals(Errno.ENODEV, responses.get(1).error().orElseThrow().errno());
    assertEquals("i0", Link.read(responses.get(2).orThrow().getFirst()).name());
  }

  @Test
  void ipCommandShowsBridgePortSettingsAsRequested() throws IOException {
    routing.execute(LinkSpec.bridge("br0").up().request());
    int bridge = routing.link("br0").orElseThrow().index();
    routing.execute(LinkSpec.veth("v0", LinkSpec.peer("v1")).master(bridge).request());
    int port = routing.link("v0").orElseThrow().index();
    routing.execute(LinkRequests.setBridgePort(port, true, true));
    String shown = TestBed.run(bed.netns(), "ip", "-d", "link", "show", "v0");
    assertTrue(shown.contains("hairpin on") && shown.contains("isolated on"), shown);
    assertEquals(new Link.PortModes(true, true), routing.link(port).orElseThrow().portModes());
    routing.execute(LinkRequests.setBridgePort(port, false, true));
    assertEquals(new Link.PortModes(false, true), routing.link(port).orElseThrow().portModes());
    routing.execute(LinkRequests.setPromiscuous(bridge));
    routing.execute(LinkRequests.setMaster(port, 0));
    assertEquals(0, routing.link(port).orElseThrow().master());
    assertTrue(TestBed.run(bed.netns(), "ip", "link", "show", "br0").contains("PROMISC"));
    assertFalse(TestBed.run(bed.netns(), "ip", "link", "show", "v0").contains("master"));
  }

  @Test
  void bridgeFilteringIsSetAndRead() throws IOException {
    routing.execute(LinkSpec.bridge("br0").request());
    int bridge = routing.link("br0").orElseThrow().index();
    assertEquals(
        new Link.Bridge(false, false, false), routing.link(bridge).orElseThrow().kindData());
    for (boolean on : new boolean[] {true, false}) {
      routing.execute(LinkRequests.setBridgeFiltering(bridge, on));
      Link.KindData data = routing.link(bridge).orElseThrow().kindData();
      assertEquals(new Link.Bridge(false, on, on), data);
      assertEquals(on, data instanceof Link.Bridge read && read.isFiltered());
      String shown = TestBed.run(bed.netns(), "ip", "-d", "link", "show", "br0");
      String number = on ? "1" : "0";
      assertTrue(shown.contains("nf_call_iptables " + number), shown);
      assertTrue(shown.contains("nf_call_ip6tables " + number), shown);
    }
  }

  /**
   * A packet that came in by a link is routed on, delivered, or refused, as the namespace would.
   */
  @Test
  void routeOfPacketFromALinkIsThatOfTheKernel() throws IOException {
    TestBed.connect(bed.netns(), "v0", bed.namespace("a"), "eth0");
    TestBed.connect(bed.netns(), "v1", bed.namespace("b"), "eth0");
    TestBed.addAddress(bed.netns(), "v0", "192.0.2.1", 24);
    TestBed.addAddress(bed.netns(), "v1", "198.51.100.1", 24);
    InetAddress source = InetAddress.ofLiteral("192.0.2.2");
    int input = routing.links("v0").getFirst().index();
    var local = RouteLookup.input(source, InetAddress.ofLiteral("198.51.100.1"), input);
    assertEquals(RtnetlinkConstants.RTN_LOCAL, routing.route(local).type());
    var beyond = RouteLookup.input(source, InetAddress.ofLiteral("198.51.100.2"), input);
    NetlinkException refused = assertThrows(NetlinkException.class, () -> routing.route(beyond));
    assertEquals(Errno.EHOSTUNREACH, refused.errno());
    TestBed.run(bed.netns(), "sysctl", "-w", "net.ipv4.ip_forward=1");
    Route route = routing.route(beyond);
    assertEquals(routing.links("v1").getFirst().index(), route.hops().getFirst().link());
    var own = RouteLookup.output(InetAddress.ofLiteral("198.51.100.2"), Optional.empty());
    assertEquals("198.51.100.1", routing.route(own).source().orElseThrow().getHostAddress());
  }
}
