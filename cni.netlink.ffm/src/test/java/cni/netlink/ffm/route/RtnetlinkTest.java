package cni.netlink.ffm.route;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetNs;
import cni.netlink.ffm.NetlinkAnswer;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkMessage;
import cni.netlink.lab.KernelTest;
import cni.netlink.lab.Lab;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@KernelTest
class RtnetlinkTest {
  private Lab lab;
  private Rtnetlink routing;

  @BeforeEach
  void open() throws IOException {
    lab = new Lab();
    routing = Rtnetlink.open(lab.host());
  }

  @AfterEach
  void close() throws IOException {
    routing.close();
    lab.close();
  }

  @Test
  void aVethIsBornWithItsPeerElsewhereAndItsPlaceInTheBridge() throws IOException {
    NetNs container = lab.namespace("c");
    routing.execute(NewLink.bridge("br0").mac(Mac.parse("02:00:00:00:00:01")).up().request());
    Link bridge = routing.link("br0").orElseThrow();
    assertEquals("02:00:00:00:00:01", bridge.mac());
    NewLink peer = NewLink.peer("eth0").mtu(1400).mac(Mac.parse("02:00:00:00:00:02")).in(container);
    routing.execute(NewLink.veth("v0", peer).mtu(1400).master(bridge.index()).up().request());
    Link veth = routing.link("v0").orElseThrow();
    assertEquals("veth", veth.kind());
    assertEquals(bridge.index(), veth.master());
    assertEquals(1400, veth.mtu());
    assertTrue(veth.isUp());
    try (Rtnetlink inside = Rtnetlink.open(container)) {
      Link eth0 = inside.link("eth0").orElseThrow();
      assertEquals("02:00:00:00:00:02", eth0.mac());
      assertEquals(1400, eth0.mtu());
      assertEquals(veth.index(), eth0.peer());
      assertEquals(veth.peer(), eth0.index());
      inside.execute(LinkRequests.delete("eth0"));
    }
    assertTrue(routing.link("v0").isEmpty());
  }

  @Test
  void whatIpCommandShowsIsWhatWasAsked() throws IOException {
    routing.execute(NewLink.of("ifb", "i0").request());
    int index = routing.link("i0").orElseThrow().index();
    InetAddress v4 = InetAddress.ofLiteral("10.1.2.3");
    InetAddress v6 = InetAddress.ofLiteral("fd00:1::3");
    InetAddress gateway = InetAddress.ofLiteral("10.1.2.1");
    var hop = new Route.Hop(index, Optional.of(gateway));
    routing.execute(
        List.of(
            new InterfaceAddress(index, v4, 24).addRequest(),
            new InterfaceAddress(index, v6, 64, RtNetlink.IFA_F_NODAD).addRequest(),
            LinkRequests.setUp(index),
            Route.unicast(InetAddress.ofLiteral("10.9.0.0"), 16, hop)
                .with(7, 1000, RtNetlink.RT_SCOPE_UNIVERSE, 1300, 1260)
                .addRequest(),
            new Neighbour(
                    index,
                    InetAddress.ofLiteral("10.1.2.9"),
                    "02:00:00:00:00:09",
                    RtNetlink.NUD_PERMANENT)
                .setRequest()));
    String addresses = Lab.run(lab.host(), "ip", "addr", "show", "i0");
    assertTrue(addresses.contains("inet 10.1.2.3/24 brd 10.1.2.255"), addresses);
    assertTrue(addresses.contains("inet6 fd00:1::3/64"), addresses);
    String routes = Lab.run(lab.host(), "ip", "route", "show", "table", "1000");
    assertEquals("10.9.0.0/16 via 10.1.2.1 dev i0 metric 7 mtu 1300 advmss 1260", routes.strip());
    String neighbours = Lab.run(lab.host(), "ip", "neigh", "show", "dev", "i0");
    assertTrue(neighbours.contains("10.1.2.9 lladdr 02:00:00:00:00:09 PERMANENT"), neighbours);
    assertEquals(
        1, routing.neighbours(RtNetlink.AF_INET).stream().filter(n -> n.link() == index).count());
    Route read =
        routing.routes(RtNetlink.AF_INET).stream()
            .filter(route -> route.table() == 1000)
            .findFirst()
            .orElseThrow();
    assertEquals(List.of(hop), read.hops());
    assertEquals(
        List.of(7, 1300, 1260), List.of(read.priority(), read.mtu(), read.advertisedMss()));
  }

  @Test
  void multipathRoutesAreReadWithEachHop() throws IOException {
    Lab.run(lab.host(), "ip", "link", "add", "i0", "type", "ifb");
    Lab.run(lab.host(), "ip", "addr", "add", "10.1.0.2/24", "dev", "i0");
    Lab.run(lab.host(), "ip", "link", "set", "i0", "up");
    Lab.run(
        lab.host(),
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
        routing.routes(RtNetlink.AF_INET).stream()
            .filter(it -> it.leadsTo(destination, 16))
            .findFirst()
            .orElseThrow();
    List<String> gateways = new ArrayList<>();
    for (Route.Hop hop : route.hops()) {
      gateways.add(hop.gateway().orElseThrow().getHostAddress());
    }
    assertEquals(List.of("10.1.0.3", "10.1.0.4"), gateways);
  }

  @Test
  void aListLongerThanOneDatagramIsReadWhole() throws IOException {
    routing.execute(NewLink.of("ifb", "i0").request());
    int index = routing.link("i0").orElseThrow().index();
    List<NetlinkMessage> requests = new ArrayList<>();
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
  void moreRequestsThanTheSocketHoldsAnswersFor() throws IOException {
    List<NetlinkMessage> requests = new ArrayList<>();
    for (int i = 0; i < 2000; i++) {
      requests.add(LinkRequests.delete("missing" + i));
    }
    List<NetlinkAnswer> answers = routing.exchange(requests);
    assertEquals(2000, answers.size());
    for (NetlinkAnswer answer : answers) {
      assertEquals(Errno.ENODEV, answer.error().orElseThrow().errno());
    }
    assertTrue(routing.link("lo").isPresent()); // the socket is still good
  }

  @Test
  void aRefusalCarriesErrnoRequestAndTheKernelsWords() throws IOException {
    NetlinkException e =
        assertThrows(
            NetlinkException.class,
            () -> routing.execute(NewLink.of("nosuchkind", "x0").request()));
    assertEquals(Errno.EOPNOTSUPP, e.errno());
    assertEquals("Unknown device type", e.extendedAck());
    assertEquals(
        "create nosuchkind \"x0\": Operation not supported: Unknown device type (errno 95)",
        e.getMessage());
    assertTrue(routing.link("x0").isEmpty());
  }

  @Test
  void inABatchEachRequestHasItsOwnAnswer() throws IOException {
    List<NetlinkAnswer> answers =
        routing.exchange(
            List.of(
                NewLink.of("ifb", "i0").request(),
                LinkRequests.get("missing"),
                LinkRequests.get("i0")));
    assertTrue(answers.get(0).error().isEmpty());
    assertEquals(Errno.ENODEV, answers.get(1).error().orElseThrow().errno());
    assertEquals("i0", Link.read(answers.get(2).orThrow().getFirst()).name());
  }

  @Test
  void portsAreSetAsIpCommandShows() throws IOException {
    routing.execute(NewLink.bridge("br0").up().request());
    int bridge = routing.link("br0").orElseThrow().index();
    routing.execute(NewLink.veth("v0", NewLink.peer("v1")).master(bridge).request());
    int port = routing.link("v0").orElseThrow().index();
    routing.execute(LinkRequests.setPort(port, true, true));
    String shown = Lab.run(lab.host(), "ip", "-d", "link", "show", "v0");
    assertTrue(shown.contains("hairpin on") && shown.contains("isolated on"), shown);
    routing.execute(LinkRequests.setPromiscuous(bridge));
    routing.execute(LinkRequests.setMaster(port, 0));
    assertEquals(0, routing.link(port).orElseThrow().master());
    assertTrue(Lab.run(lab.host(), "ip", "link", "show", "br0").contains("PROMISC"));
    assertFalse(Lab.run(lab.host(), "ip", "link", "show", "v0").contains("master"));
  }
}
