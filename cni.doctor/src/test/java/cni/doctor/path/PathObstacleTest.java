// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.doctor.IpCommand;
import cni.doctor.PastedRemedy;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.IpFamily;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.net.InetAddress;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Obstacles that lie between routes and rules: policy routing, neighbours, loopback, path MTU. */
@KernelTest(commands = {"ip", "nft", "sysctl"})
class PathObstacleTest {
  private PathWorld world;

  @BeforeEach
  void open() throws Exception {
    world = new PathWorld(IpFamily.IPV4);
  }

  @AfterEach
  void close() throws Exception {
    world.close();
  }

  private PathReport trace(NetNs from, PathEnd to, String address, int port) throws CniException {
    return trace(from, to, address, port, 0, Optional.empty());
  }

  private PathReport trace(
      NetNs from, PathEnd to, String address, int port, int size, Optional<InetAddress> source)
      throws CniException {
    ProbeProtocol protocol = port == 0 ? ProbeProtocol.ICMP : ProbeProtocol.TCP;
    var tracer =
        new PathTracer(Optional.of(world.host().netns().path()), world.cni().attachments());
    InetAddress destination = InetAddress.ofLiteral(address);
    return tracer.trace(
        new PathQuery(world.end(from), to, destination, protocol, port, size, true, source));
  }

  private PathReport toOutside() throws Exception {
    var outside = new PathEnd.Outside(InetAddress.ofLiteral(TestHost.OUTSIDE_V4));
    return trace(world.a(), outside, TestHost.OUTSIDE_V4, 8080);
  }

  private PathReport toOther() throws Exception {
    return trace(world.a(), world.end(world.b()), "10.50.0.3", 8080);
  }

  private static PathFinding assertFinding(PathReport report, Fate fate, PathCause cause) {
    String text = String.join("\n", PathText.lines(report));
    assertEquals(fate, report.fate(), text);
    PathFinding finding = report.finding().orElseThrow();
    assertEquals(cause, finding.cause(), text);
    PastedRemedy.assertPasteable(finding.remedy());
    return finding;
  }

  private void run(NetNs netns, String command) throws Exception {
    PathWorld.in(netns, command.split(" ", -1));
  }

  private String ip(NetNs netns, String arguments) {
    return IpCommand.in(netns.path(), arguments);
  }

  private void masquerade() throws Exception {
    NetNs outside = world.outside();
    world.bridge("n", 50, "\"ipMasq\": true,", "", world.a());
    world.serve(outside);
  }

  @ParameterizedTest
  @CsvSource({"fwmark 7, (0x7/0xffffffff)", "dport 8080, 8080", "ipproto tcp, 6"})
  void ruleByMoreThanAddressesSelectsABlackhole(String selector, String text) throws Exception {
    masquerade();
    NetNs host = world.host().netns();
    world.nft(host, "inet", "prerouting priority -150", "tcp dport 8080 meta mark set 7");
    run(host, "ip rule add " + selector + " lookup 99 priority 90");
    run(host, "ip route add blackhole default table 99");
    PathFinding found = assertFinding(toOutside(), Fate.LOST, PathCause.ROUTING_RULE);
    assertTrue(found.text().contains("rule 90 of \"ip rule\""), found::text);
    assertTrue(found.text().contains("type blackhole"), found::text);
    assertTrue(found.remedy().startsWith(ip(host, "rule del priority 90  # ")), found::remedy);
    run(host, "ip rule del priority 90");
    assertEquals(Fate.ARRIVES, toOutside().fate());
  }

  @ParameterizedTest
  @CsvSource({"blackhole", "prohibit", "unreachable"})
  void ruleDiscards(String type) throws Exception {
    world.bridge();
    run(world.a(), "ip rule add to 10.50.0.3 " + type + " priority 80");
    PathFinding found = assertFinding(toOther(), Fate.LOST, PathCause.ROUTING_RULE);
    assertTrue(found.text().contains("of type " + type), found::text);
    String remedy = ip(world.a(), "rule del priority 80  # \"" + ip(world.a(), "rule"));
    assertTrue(found.remedy().startsWith(remedy), found::remedy);
  }

  @Test
  void rulesDropRequestsForTheHardwareAddress() throws Exception {
    world.bridge();
    world.nft(world.b(), "arp", "input priority 0", "drop");
    PathFinding found = assertFinding(toOther(), Fate.LOST, PathCause.NEIGHBOUR_UNRESOLVED);
    assertTrue(found.text().contains("gets no answer to its ARP requests"), found::text);
  }

  /** The neighbour is the host, whose answer to the container's packet is masqueraded or not. */
  @Test
  void rulesDropRequestsForTheHardwareAddressOfTheGateway() throws Exception {
    masquerade();
    run(world.a(), "ip neigh flush all");
    world.nft(world.host().netns(), "arp", "input priority 0", "drop");
    assertFinding(toOutside(), Fate.LOST, PathCause.NEIGHBOUR_UNRESOLVED);
  }

  @Test
  void rulesOfABridgeDropRequestsForTheHardwareAddress() throws Exception {
    world.bridge();
    NetNs host = world.host().netns();
    world.nft(host, "bridge", "forward priority 0", "ether type arp drop");
    assertFinding(toOther(), Fate.LOST, PathCause.NEIGHBOUR_UNRESOLVED);
  }

  @ParameterizedTest
  @CsvSource({"true", "false"})
  void interfaceDoesNotTakePartInArp(boolean isSource) throws Exception {
    world.bridge();
    NetNs netns = isSource ? world.a() : world.b();
    run(netns, "ip link set eth0 arp off");
    PathFinding found = assertFinding(toOther(), Fate.LOST, PathCause.NEIGHBOUR_UNRESOLVED);
    assertEquals(ip(netns, "link set eth0 arp on"), found.remedy());
  }

  /** The filter drops ARP requests as well; the cause is the route. */
  @Test
  void reversePathFilterDropsRequestsForTheHardwareAddress() throws Exception {
    masquerade();
    NetNs host = world.host().netns();
    run(world.a(), "ip neigh flush all");
    run(host, "sysctl -qw net.ipv4.conf.br50.rp_filter=1");
    run(host, "ip route add 10.50.0.2 via " + TestHost.OUTSIDE_V4);
    assertFinding(toOutside(), Fate.LOST, PathCause.REVERSE_PATH);
  }

  @Test
  void answerIsDroppedByItsState() throws Exception {
    masquerade();
    NetNs host = world.host().netns();
    world.nft(host, "inet", "forward priority 0", "ct state established counter drop");
    PathFinding found = assertFinding(toOutside(), Fate.UNANSWERED, PathCause.RULE);
    assertTrue(found.text().startsWith("the answer is dropped"), found::text);
  }

  @Test
  void bridgeDoesNotForward() throws Exception {
    masquerade();
    run(world.host().netns(), "sysctl -qw net.ipv4.conf.br50.forwarding=0");
    PathFinding found = assertFinding(toOutside(), Fate.LOST, PathCause.NOT_FORWARDING);
    assertEquals("sysctl -w net.ipv4.conf.br50.forwarding=1", found.remedy());
  }

  @ParameterizedTest
  @CsvSource({"10.50.0.2", "127.0.0.1"})
  void loopbackIsDown(String address) throws Exception {
    world.bridge();
    run(world.a(), "ip link set lo down");
    PathReport report = trace(world.a(), world.end(world.a()), address, 8080);
    PathFinding found = assertFinding(report, Fate.LOST, PathCause.LINK_DOWN);
    assertEquals(ip(world.a(), "link set lo up"), found.remedy());
  }

  /** The container has learned the path MTU from the host's router advertisement: ICMP. */
  @Test
  void hostHasTheSmallestMtu() throws Exception {
    masquerade();
    run(world.host().netns(), "ip link set up0 mtu 1300");
    TestBed.tryRun(
        world.a(), "ping", "-n", "-c1", "-w1", "-M", "do", "-s", "1372", TestHost.OUTSIDE_V4);
    var outside = new PathEnd.Outside(InetAddress.ofLiteral(TestHost.OUTSIDE_V4));
    PathReport report = trace(world.a(), outside, TestHost.OUTSIDE_V4, 0, 1400, Optional.empty());
    PathFinding found = assertFinding(report, Fate.LOST, PathCause.MTU);
    assertTrue(found.text().contains("MTU of up0 of host, 1300"), found::text);
  }

  @Test
  void packetIsSentFromTheAddressThatWasNamed() throws Exception {
    world.bridge();
    run(world.a(), "ip addr add 10.50.0.77/24 dev eth0");
    InetAddress second = InetAddress.ofLiteral("10.50.0.77");
    PathReport plain = toOther();
    assertEquals(Optional.of(InetAddress.ofLiteral("10.50.0.2")), plain.sourceAddress());
    PathReport named =
        trace(world.a(), world.end(world.b()), "10.50.0.3", 8080, 0, Optional.of(second));
    assertEquals(Optional.of(second), named.sourceAddress());
    run(world.a(), "ip rule add from 10.50.0.77 blackhole");
    PathReport lost =
        trace(world.a(), world.end(world.b()), "10.50.0.3", 8080, 0, Optional.of(second));
    assertFinding(lost, Fate.LOST, PathCause.ROUTING_RULE);
  }

  @Test
  void portIsPublishedOnLoopbackOnly() throws Exception {
    world.publishOn("127.0.0.1", world.a());
    PathReport report = trace(world.host().netns(), new PathEnd.Host(), "10.50.0.1", 8000);
    PathFinding found = assertFinding(report, Fate.ARRIVES, PathCause.NO_LISTENER);
    assertTrue(found.text().contains("on 127.0.0.1 only, not on 10.50.0.1"), found::text);
  }
}
