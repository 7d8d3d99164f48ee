// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import cni.api.Cidr;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.nftables.NftablesSocket;
import cni.netlink.ffm.nftables.PacketCount;
import cni.policy.Direction;
import cni.policy.Endpoint;
import cni.policy.Peer;
import cni.policy.Policy;
import cni.policy.PolicyHits;
import cni.policy.PolicyState;
import cni.policy.PortMatch;
import cni.policy.Protocol;
import cni.policy.Selector;
import cni.policy.TrafficRule;
import cni.testing.EchoServer;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What becomes of packets of containers: {@code one} and {@code two} are on a bridge, {@code
 * routed} is not.
 */
@KernelTest(commands = {"nft", "ip", "ping", "python3"})
class PolicyPacketsTest {
  private static final int ATTEMPTS = 10;

  private TestBed bed;
  private NftablesSocket nftables;
  private PolicyTables tables;
  private NetNs one;
  private NetNs two;
  private NetNs routed;
  private EchoServer server;
  private PolicyState state = PolicyState.EMPTY;

  @BeforeAll
  static void requireBridgeNetfilter() {
    assumeTrue(Files.exists(Path.of("/proc/sys/net/bridge")), "br_netfilter is not loaded");
  }

  @BeforeEach
  void open() throws IOException {
    bed = new TestBed();
    nftables = NftablesSocket.open(bed.netns());
    tables = new PolicyTables(nftables);
    run(bed.netns(), "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    run(
        bed.netns(),
        "sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0");
    run(bed.netns(), "ip link add br0 up type bridge nf_call_iptables 1 nf_call_ip6tables 1");
    run(bed.netns(), "ip addr add 10.9.0.1/24 dev br0");
    run(bed.netns(), "ip addr add fd09::1/64 dev br0 nodad");
    one = bridged("one", 2);
    two = bridged("two", 3);
    routed = bed.namespace("routed");
    TestBed.connect(bed.netns(), "routed", routed, "eth0");
    run(bed.netns(), "ip addr add 10.7.0.1/32 dev routed");
    run(bed.netns(), "ip route add 10.7.0.2 dev routed");
    addresses(routed, "10.7.0.2/24", "fd07::2/64", "10.7.0.1", "fe80::1");
    server = EchoServer.start(two, 80);
  }

  private NetNs bridged(String name, int number) throws IOException {
    NetNs netns = bed.namespace(name);
    TestBed.connect(bed.netns(), name, netns, "eth0");
    run(bed.netns(), "ip link set " + name + " master br0");
    addresses(netns, "10.9.0." + number + "/24", "fd09::" + number + "/64", "10.9.0.1", "fd09::1");
    return netns;
  }

  private static void addresses(NetNs netns, String v4, String v6, String gateway, String gateway6)
      throws IOException {
    run(netns, "ip addr add " + v4 + " dev eth0");
    run(netns, "ip addr add " + v6 + " dev eth0 nodad");
    run(netns, "ip route add default via " + gateway);
    run(netns, "ip -6 route add default via " + gateway6 + " dev eth0");
  }

  private static void run(NetNs netns, String command) throws IOException {
    TestBed.run(netns, command.split(" ", -1));
  }

  @AfterEach
  void close() throws IOException {
    server.close();
    nftables.close();
    bed.close();
  }

  private static Endpoint endpoint(String name, Optional<String> bridge, String... addresses) {
    return new Endpoint(
        new Endpoint.Id("net", name, "eth0"),
        Map.of("name", name),
        Map.of(),
        List.of(addresses).stream().map(Cidr::parse).toList(),
        name,
        bridge);
  }

  private void apply(PolicyState next) throws Exception {
    tables.apply(state, next);
    state = next;
  }

  private void attachAll() throws Exception {
    apply(
        RandomState.with(state, endpoint("one", Optional.of("br0"), "10.9.0.2/24", "fd09::2/64")));
    apply(
        RandomState.with(state, endpoint("two", Optional.of("br0"), "10.9.0.3/24", "fd09::3/64")));
    apply(
        RandomState.with(state, endpoint("routed", Optional.empty(), "10.7.0.2/24", "fd07::2/64")));
  }

  /** Of the container {@code two}. */
  private static Policy ingress(String name, TrafficRule... rules) {
    return new Policy(
        name,
        new Selector(Map.of("name", "two"), List.of()),
        Set.of(),
        Map.of(Direction.INGRESS, List.of(rules)),
        Map.of());
  }

  private static TrafficRule from(String name, int port) {
    return new TrafficRule(
        List.of(new Peer.Group(new Selector(Map.of("name", name), List.of()), Set.of())),
        List.of(new PortMatch.Range(Protocol.TCP, port, port)));
  }

  private static boolean reaches(NetNs from, String address) throws IOException {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (Probe.tcp(from, address, 80).isPresent()) {
        return true;
      }
    }
    return false;
  }

  private static boolean isCutOff(NetNs from, String address) throws IOException {
    return Probe.tcp(from, address, 80).isEmpty();
  }

  @Test
  void onlyTheNamedPeerReachesASelectedContainer() throws Exception {
    attachAll();
    assertTrue(reaches(one, "10.9.0.3"));
    assertTrue(reaches(one, "fd09::3"));
    apply(RandomState.with(state, ingress("deny")));
    assertTrue(isCutOff(one, "10.9.0.3"));
    assertTrue(isCutOff(one, "fd09::3"));
    assertTrue(isCutOff(routed, "10.9.0.3"));
    assertTrue(reaches(bed.netns(), "10.9.0.3"), "the host is always allowed");
    apply(RandomState.with(state, ingress("allow", from("one", 80), from("routed", 81))));
    assertTrue(reaches(one, "10.9.0.3"));
    assertTrue(reaches(one, "fd09::3"));
    assertTrue(isCutOff(routed, "10.9.0.3"), "another port");
    assertTrue(allowed("allow", Direction.INGRESS) > 0);
    assertEquals(0, allowed("allow", Direction.EGRESS));
    assertEquals(0, allowed("deny", Direction.INGRESS));
    PolicyHits hits = Objects.requireNonNull(tables.hits(state).get("deny"));
    assertTrue(packets(hits.denied(), Direction.INGRESS) > 0, hits.toString());
  }

  private long allowed(String policy, Direction direction) throws IOException {
    PolicyHits hits = Objects.requireNonNull(tables.hits(state).get(policy));
    return packets(hits.allowed(), direction);
  }

  private static long packets(Map<Direction, PacketCount> counts, Direction direction) {
    return counts.getOrDefault(direction, PacketCount.ZERO).packets();
  }

  @Test
  void repliesToARestrictedContainerPass() throws Exception {
    attachAll();
    apply(RandomState.with(state, ingress("deny")));
    try (EchoServer _ = EchoServer.start(one, 80)) {
      assertTrue(reaches(two, "10.9.0.2"));
      assertTrue(reaches(two, "fd09::2"));
    }
  }

  @Test
  void forgedSourcesAreDropped() throws Exception {
    attachAll();
    apply(RandomState.with(state, ingress("allow", from("one", 80))));
    assertTrue(reaches(one, "10.9.0.3"));
    run(one, "ip addr add 10.9.0.77/32 dev eth0");
    run(routed, "ip addr add 10.9.0.2/32 dev eth0");
    run(routed, "ip route change default via 10.7.0.1 src 10.9.0.2");
    assertFalse(ping(one, "10.9.0.77", "10.9.0.1"));
    assertTrue(ping(one, "10.9.0.2", "10.9.0.1"));
    assertTrue(isCutOff(routed, "10.9.0.3"), "with the address of the allowed peer");
  }

  private static boolean ping(NetNs from, String source, String address) throws IOException {
    return TestBed.tryRun(from, "ping", "-n", "-c2", "-w3", "-I", source, address).status() == 0;
  }

  /** The inet table does not know these addresses. */
  @Test
  void linkLocalAddressesDoNotEvadePolicies() throws Exception {
    attachAll();
    apply(RandomState.with(state, ingress("deny")));
    String linkLocal = linkLocal(two);
    assertFalse(ping(one, "eth0", linkLocal + "%eth0"));
    tables.remove();
    assertTrue(ping(one, "eth0", linkLocal + "%eth0"), "without policies");
  }

  private static String linkLocal(NetNs netns) throws IOException {
    String shown =
        TestBed.run(netns, "ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link");
    return shown.replaceFirst("(?s).*inet6 ([0-9a-f:]+)/.*", "$1");
  }

  /** See frames.py: two of its frames are legitimate. */
  @Test
  void framesThatEvadePoliciesAreDropped() throws Exception {
    run(two, "nft add table netdev t");
    run(two, "nft add chain netdev t c { type filter hook ingress device eth0 priority 0; }");
    run(two, "nft add rule netdev t c ether saddr 02:00:00:00:00:77 counter");
    attachAll();
    sendFrames();
    assertEquals(2, received());
    tables.remove();
    assertEquals(sendFrames(), received() - 2, "without policies");
  }

  private int sendFrames() throws Exception {
    String script =
        Path.of(Objects.requireNonNull(getClass().getResource("frames.py")).toURI()).toString();
    String receiver = TestBed.run(two, "cat", "/sys/class/net/eth0/address").strip();
    return Integer.parseInt(TestBed.run(one, "python3", script, "eth0", receiver).strip());
  }

  private int received() throws IOException {
    String chain = TestBed.run(two, "nft", "list chain netdev t c");
    return Integer.parseInt(chain.replaceFirst("(?s).*packets (\\d+) .*", "$1"));
  }

  /** As between the ADD of the interface plugin and that of the plugin policy. */
  @Test
  void unknownContainerOfAGuardedNetworkIsUnreachable() throws Exception {
    apply(
        new PolicyState(
            List.of(),
            Map.of(),
            Set.of(
                new PolicyState.Guard(Cidr.parse("10.9.0.0/24"), Optional.of("br0")),
                new PolicyState.Guard(Cidr.parse("fd09::/64"), Optional.of("br0"))),
            Set.of("one")));
    assertTrue(isCutOff(one, "10.9.0.3"));
    assertTrue(isCutOff(one, "fd09::3"));
    assertTrue(isCutOff(bed.netns(), "10.9.0.3"));
    attachAll();
    assertTrue(reaches(one, "10.9.0.3"));
    assertTrue(reaches(one, "fd09::3"));
    assertTrue(reaches(bed.netns(), "10.9.0.3"));
  }
}
