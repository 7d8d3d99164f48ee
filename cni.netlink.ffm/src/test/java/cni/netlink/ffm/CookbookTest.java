// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.nftables.AnonymousSet;
import cni.netlink.ffm.nftables.Bytes;
import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.ConnectionFilter;
import cni.netlink.ffm.nftables.ConntrackSocket;
import cni.netlink.ffm.nftables.Expression.Compare;
import cni.netlink.ffm.nftables.Hook;
import cni.netlink.ffm.nftables.NamedSet;
import cni.netlink.ffm.nftables.NftablesSocket;
import cni.netlink.ffm.nftables.PacketField;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.SetElement;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.nftables.Transaction;
import cni.netlink.ffm.route.BridgeVlan;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.LinkConstants;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkSpec;
import cni.netlink.ffm.route.LinkUpdate;
import cni.netlink.ffm.route.Neighbour;
import cni.netlink.ffm.route.PolicyRule;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.netlink.ffm.route.RuleSelector;
import cni.netlink.ffm.tc.Qdisc;
import cni.netlink.ffm.tc.TcConstants;
import cni.netlink.ffm.tc.TcFilter;
import cni.netlink.ffm.tc.TokenBucket;
import cni.testing.KernelTest;
import cni.testing.RequiresDevice;
import cni.testing.RequiresDevice.Device;
import cni.testing.TestBed;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/**
 * The calls of docs/netlink.md: they are compiled, the page contains exactly them, and they have
 * the effect of the commands beside them.
 */
class CookbookTest {
  private static final Path PAGE = Path.of("..", "docs", "netlink.md");
  private static final Path THIS_FILE = Path.of("src/test/java/cni/netlink/ffm/CookbookTest.java");

  private static final InetAddress ADDRESS = InetAddress.ofLiteral("10.1.0.2");
  private static final InetAddress GATEWAY = InetAddress.ofLiteral("10.1.0.1");
  private static final InetAddress NETWORK = InetAddress.ofLiteral("10.2.0.0");
  private static final InetAddress ANY = InetAddress.ofLiteral("0.0.0.0");

  /** Makes links and everything else that stays. */
  @SuppressWarnings("NullAway") // nothing of it is null
  private static void make(NetNs host, NetNs blue, RouteSocket socket) throws Exception {
    // begin links
    socket.execute(LinkSpec.bridge("br0").up().request());
    socket.execute(LinkSpec.veth("v0", LinkSpec.peer("eth0").inNamespace(blue)).up().request());
    socket.execute(LinkSpec.of("ifb", "d0").mtu(1400).up().request());
    int d0 = socket.link("d0").orElseThrow().index();
    socket.execute(LinkSpec.macvlan("m0", d0, LinkConstants.MACVLAN_MODE_BRIDGE, 0).request());
    // end
    int br0 = socket.link("br0").orElseThrow().index();
    int v0 = socket.link("v0").orElseThrow().index();
    // begin settings
    socket.execute(new LinkUpdate(v0).mtu(1400).txQueueLength(500).request());
    socket.execute(LinkRequests.setMac(br0, "02:00:00:00:00:01"));
    socket.execute(LinkRequests.setMaster(v0, br0));
    socket.execute(LinkRequests.setAlias(v0, "blue's"));
    socket.execute(LinkRequests.setHairpin(v0, true));
    socket.execute(LinkRequests.setPromiscuous(br0));
    // end
    var subnet = new Route.Hop(d0, Optional.empty());
    // begin addresses
    socket.execute(new InterfaceAddress(d0, ADDRESS, 24).addRequest());
    socket.execute(Route.unicast(NETWORK, 16, subnet).addRequest());
    var gateway = new Route.Hop(d0, Optional.of(GATEWAY));
    socket.execute(Route.unicast(ANY, 0, gateway).replaceRequest());
    socket.execute(Route.unicast(NETWORK, 16, gateway).inTable(100).addRequest());
    socket.execute(PolicyRule.fromSource(ADDRESS, 100).addRequest());
    var marked = PolicyRule.lookup(IpFamily.IPV4, RuleSelector.ANY.withMark(0x10, 0xf0), 100);
    socket.execute(marked.withPriority(500).addRequest());
    var web = RuleSelector.ANY.arrivingOn("br0").withProtocol(6).toPorts(80, 443);
    socket.execute(PolicyRule.lookup(IpFamily.IPV4, web, 100).addRequest());
    int permanent = RtnetlinkConstants.NUD_PERMANENT;
    socket.execute(new Neighbour(d0, GATEWAY, "02:00:00:00:00:09", permanent).replaceRequest());
    // end
    // begin tc
    var tenMegabits = TokenBucket.of(10_000_000, 1_000_000);
    socket.execute(Qdisc.addTbf(v0, TcConstants.handle(1, 0), TcConstants.ROOT, tenMegabits));
    int ingress = TcConstants.INGRESS_HANDLE;
    socket.execute(Qdisc.add(v0, "ingress", ingress, TcConstants.INGRESS));
    socket.execute(TcFilter.redirectIngress(v0, 1, d0));
    // end
    try (NftablesSocket nft = NftablesSocket.open(host)) {
      // begin nftables
      Table table = new Table(TableFamily.INET, "web");
      Chain nat = table.chain("nat");
      nft.commit(new Transaction().add(table).add(nat, Hook.SOURCE_NAT));
      var inet = RuleBuilder.forFamily(TableFamily.INET);
      var masquerade = inet.source(Compare.EQUAL, ADDRESS, 24).counter().masquerade().build();
      nft.commit(new Transaction().append(nat, masquerade));
      NamedSet blocked = NamedSet.of("blocked", AnonymousSet.Type.IPV4_ADDRESS);
      var element = SetElement.of(Bytes.of(GATEWAY.getAddress()));
      nft.commit(new Transaction().add(table, blocked).add(table, blocked, List.of(element)));
      // end
      var drop = RuleBuilder.forFamily(TableFamily.INET).in(blocked, PacketField.IPV4_SOURCE);
      assertTrue(drop.build().expressions().size() > 1);
    }
    // begin sysctl
    host.call(() -> Sysctl.KERNEL.get("net/ipv4/ip_forward"));
    // end
    host.<Object, IOException>call(
        () -> {
          // begin set
          Sysctl.KERNEL.set("net/ipv4/ip_forward", "1");
          // end
          return "";
        });
  }

  /** Makes what some kernels lack. */
  private static void makeOptional(RouteSocket socket, int v0) throws IOException {
    // begin optional
    socket.execute(LinkSpec.bridge("br1").vlanFiltering().request());
    socket.execute(LinkSpec.vlan("v0.10", v0, 10).request());
    socket.execute(LinkSpec.vrf("red", 10).up().request());
    // end
    int br1 = socket.link("br1").orElseThrow().index();
    socket.execute(LinkRequests.setMaster(v0, br1));
    List<Object> found = new ArrayList<>();
    // begin vlans
    socket.execute(LinkRequests.addVlan(v0, new BridgeVlan(100, true, true)));
    found.addAll(socket.bridgeVlans(v0));
    // end
    assertTrue(found.contains(new BridgeVlan(100, true, true)), found::toString);
  }

  /** Reads what was made. */
  private static void read(NetNs host, RouteSocket socket) throws Exception {
    int d0 = socket.link("d0").orElseThrow().index();
    int v0 = socket.link("v0").orElseThrow().index();
    List<Object> found = new ArrayList<>();
    // begin reading
    found.add(socket.link("d0"));
    found.addAll(socket.links());
    found.addAll(socket.addresses(d0));
    found.addAll(socket.routes(IpFamily.IPV4));
    found.add(socket.routeTo(NETWORK));
    found.addAll(socket.policyRules(IpFamily.IPV4));
    found.addAll(socket.neighbours(IpFamily.IPV4));
    found.addAll(Qdisc.list(socket, v0));
    // end
    assertTrue(found.size() > 20, found::toString);
    assertFalse(found.contains(Optional.empty()), found::toString);
    try (NftablesSocket nft = NftablesSocket.open(host)) {
      Table table = new Table(TableFamily.INET, "web");
      // begin ruleset
      found.addAll(nft.tables());
      found.addAll(nft.rules(table));
      // end
    }
    try (ConntrackSocket conntrack = host.call(ConntrackSocket::open)) {
      var dns = ConnectionFilter.toPort(TableFamily.IP, RuleBuilder.UDP, 53);
      // begin conntrack
      found.addAll(conntrack.connections());
      conntrack.deleteConnections(List.of(dns));
      // end
    }
    // begin monitor
    int links = RtnetlinkConstants.RTNLGRP_LINK;
    var monitor = host.call(() -> NetlinkMonitor.open(NetlinkConstants.NETLINK_ROUTE, links));
    // end
    try (monitor) {
      assertFalse(monitor.await(Duration.ofMillis(1)));
      socket.execute(LinkRequests.setAlias(d0, "changed"));
      assertTrue(monitor.await(Duration.ofSeconds(5)));
    }
  }

  /** Removes what was made, in an order in which nothing has gone with something else. */
  private static void remove(NetNs host, NetNs blue, RouteSocket socket) throws Exception {
    int d0 = socket.link("d0").orElseThrow().index();
    int v0 = socket.link("v0").orElseThrow().index();
    var subnet = new Route.Hop(d0, Optional.empty());
    try (NftablesSocket nft = NftablesSocket.open(host)) {
      Table table = new Table(TableFamily.INET, "web");
      // begin removal
      nft.commit(new Transaction().delete(table));
      socket.execute(Qdisc.delete(v0, 0, TcConstants.ROOT));
      socket.execute(PolicyRule.fromSource(ADDRESS, 100).deleteRequest());
      socket.execute(Route.unicast(NETWORK, 16, subnet).deleteRequest());
      socket.execute(new InterfaceAddress(d0, ADDRESS, 24).deleteRequest());
      socket.execute(LinkRequests.setMaster(v0, 0));
      socket.execute(LinkRequests.setDown(d0));
      socket.execute(new LinkUpdate(d0).name("d1").moveTo(blue).request());
      socket.execute(LinkRequests.delete("v0"));
      // end
    }
  }

  /** Not run: it would name a namespace of this machine. */
  @SuppressWarnings({"UnusedMethod", "unused"}) // compiled only
  private static void namespaces() throws IOException {
    // begin namespaces
    NetNs blue = NetNs.create("blue");
    NetNs ofProcess = NetNs.open(Path.of("/proc/4711/ns/net"));
    RouteSocket socket = RouteSocket.open(blue);
    String counters = blue.call(() -> Files.readString(Path.of("/proc/thread-self/net/dev")));
    NetNs.delete("blue");
    // end
  }

  @Test
  @KernelTest
  void callsHaveTheEffectOfTheCommands() throws Exception {
    try (var bed = new TestBed();
        RouteSocket socket = RouteSocket.open(bed.netns())) {
      NetNs host = bed.netns();
      NetNs blue = bed.namespace("blue");
      make(host, blue, socket);
      assertShows(host, "mtu 1400 qdisc tbf", "ip", "link", "show", "v0");
      assertShows(host, "master br0", "ip", "link", "show", "v0");
      assertShows(host, "alias blue's", "ip", "link", "show", "v0");
      assertShows(host, "02:00:00:00:00:01", "ip", "link", "show", "br0");
      assertShows(host, "macvlan mode bridge", "ip", "-d", "link", "show", "m0");
      assertShows(host, "hairpin on", "ip", "-d", "link", "show", "v0");
      assertShows(host, "PROMISC", "ip", "link", "show", "br0");
      assertShows(host, "inet 10.1.0.2/24", "ip", "address", "show", "d0");
      assertShows(host, "default via 10.1.0.1 dev d0", "ip", "route");
      assertShows(host, "10.2.0.0/16 dev d0", "ip", "route");
      assertShows(host, "10.2.0.0/16 via 10.1.0.1", "ip", "route", "show", "table", "100");
      assertShows(host, "500:\tfrom all fwmark 0x10/0xf0 lookup 100", "ip", "rule");
      assertShows(host, "iif br0 ipproto tcp dport 80-443 lookup 100", "ip", "rule");
      assertShows(host, "from 10.1.0.2 lookup 100", "ip", "rule");
      assertShows(host, "10.1.0.1 dev d0 lladdr 02:00:00:00:00:09 PERMANENT", "ip", "-4", "neigh");
      assertShows(host, "rate 10Mbit burst", "tc", "qdisc", "show", "dev", "v0");
      assertShows(
          host, "Egress Redirect to device d0", "tc", "filter", "show", "dev", "v0", "ingress");
      String ruleset = TestBed.run(host, "nft", "list", "table", "inet", "web");
      assertTrue(ruleset.contains("ip saddr 10.1.0.0/24 counter packets 0"), ruleset);
      assertTrue(ruleset.contains("masquerade") && ruleset.contains("{ 10.1.0.1 }"), ruleset);
      assertShows(host, "1", "cat", "/proc/sys/net/ipv4/ip_forward");
      read(host, socket);
      remove(host, blue, socket);
      assertEquals("", TestBed.run(host, "nft", "list", "tables"));
      assertShows(blue, "d1:", "ip", "link", "show", "d1");
      assertFalse(TestBed.run(host, "ip", "link").contains("v0"));
    }
  }

  @Test
  @RequiresDevice({Device.VLAN_FILTERING, Device.VLAN, Device.VRF})
  void callsForOptionalDevicesHaveTheEffectOfTheCommands() throws Exception {
    try (var bed = new TestBed();
        RouteSocket socket = RouteSocket.open(bed.netns())) {
      NetNs host = bed.netns();
      TestBed.connect(host, "v0", bed.namespace("blue"), "eth0");
      makeOptional(socket, socket.link("v0").orElseThrow().index());
      assertShows(host, "vlan protocol 802.1Q id 10", "ip", "-d", "link", "show", "v0.10");
      assertShows(host, "vrf table 10", "ip", "-d", "link", "show", "red");
      assertShows(host, "vlan_filtering 1", "ip", "-d", "link", "show", "br1");
      assertShows(host, "100 PVID Egress Untagged", "bridge", "vlan", "show", "dev", "v0");
    }
  }

  private static void assertShows(NetNs netns, String words, String... command) throws IOException {
    String text = TestBed.run(netns, command);
    assertTrue(text.contains(words), () -> String.join(" ", command) + ": " + text);
  }

  @Test
  void pageContainsExactlyTheCompiledCalls() throws IOException {
    assertEquals(
        String.join("\n", new TreeSet<>(statements())), String.join("\n", new TreeSet<>(calls())));
    assertTrue(calls().size() >= 40, () -> calls().size() + " rows");
  }

  /** Returns the statements between the marks of this file, without white space. */
  private static List<String> statements() throws IOException {
    List<String> statements = new ArrayList<>();
    boolean inside = false;
    StringBuilder code = new StringBuilder();
    for (String line : Files.readAllLines(THIS_FILE)) {
      String text = line.strip();
      if (text.startsWith("// begin") || text.equals("// end")) {
        inside = !text.equals("// end");
      } else if (inside) {
        code.append(text);
      }
    }
    for (String statement : code.toString().split(";", -1)) {
      if (!statement.isBlank()) {
        statements.add(normalize(statement));
      }
    }
    return statements;
  }

  /** Returns the statements of the last column of the page's tables, without white space. */
  private static List<String> calls() {
    List<String> calls = new ArrayList<>();
    for (String line : readPage()) {
      String[] cells = line.split("\\|", -1);
      if (cells.length == 5 && cells[3].strip().startsWith("`")) {
        for (String statement : cells[3].strip().replace("`", "").split(";", -1)) {
          calls.add(normalize(statement));
        }
      }
    }
    return calls;
  }

  private static List<String> readPage() {
    try {
      return Files.readAllLines(PAGE);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  /** What the test does with a value that is read is not on the page. */
  private static String normalize(String statement) {
    String call = statement.replaceAll("\\s", "");
    return call.startsWith("found.add")
        ? call.replaceFirst("found\\.add(All)?\\((.*)\\)", "$2")
        : call;
  }
}
