// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.doctor.IpCommand;
import cni.doctor.PastedRemedy;
import cni.doctor.RemedyText;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.IpFamily;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.net.InetAddress;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What is named as the cause of a damage, and the command that mends it. */
@KernelTest(commands = {"nft", "iptables"})
class PathRemedyTest {
  private PathWorld world;

  @BeforeEach
  void open() throws Exception {
    world = new PathWorld(IpFamily.IPV4);
  }

  @AfterEach
  void close() throws Exception {
    world.close();
  }

  private PathFinding trace(NetNs from, PathEnd to, String address, ProbeProtocol protocol)
      throws CniException {
    var tracer =
        new PathTracer(
            Optional.of(world.host().netns().path()),
            world.cni().attachments(),
            IntegrityCheck.of(world.cni()));
    int port = protocol.hasPorts() ? 8000 : 0;
    var query =
        new PathQuery(world.end(from), to, InetAddress.ofLiteral(address), protocol, port, 0, true);
    return tracer.trace(query).finding().orElseThrow();
  }

  private static void assertFinding(
      PathFinding finding, PathCause cause, String text, String remedy) {
    assertEquals(cause, finding.cause(), finding::toString);
    assertTrue(finding.text().contains(text), finding::toString);
    assertEquals(remedy, finding.remedy(), finding::toString);
    PastedRemedy.assertPasteable(finding.remedy());
  }

  private String name(NetNs container) {
    return "n/" + TestBed.nameOf(container);
  }

  @Test
  void containerHasLostItsInterface() throws Exception {
    world.bridge();
    PathWorld.in(world.b(), "ip", "link", "del", "eth0");
    String remedy = "cni update n " + world.b().path() + " --recreate";
    PathFinding to = trace(world.a(), world.end(world.b()), "10.50.0.3", ProbeProtocol.ICMP);
    assertFinding(to, PathCause.INTERFACE_GONE, name(world.b()) + " has lost its", remedy);
    PathFinding from = trace(world.b(), world.end(world.a()), "10.50.0.2", ProbeProtocol.ICMP);
    assertFinding(from, PathCause.INTERFACE_GONE, name(world.b()) + " has lost its", remedy);
  }

  @Test
  void containerIsGone() throws Exception {
    world.bridge();
    PathEnd b = world.end(world.b());
    Path path = world.b().path();
    world.host().delete(world.b());
    PathFinding found = trace(world.a(), b, "10.50.0.3", ProbeProtocol.ICMP);
    assertFinding(found, PathCause.NAMESPACE_GONE, path + ", does not exist", "cni gc n");
  }

  private PathFinding traceOwnPort(String address) throws CniException {
    return trace(world.host().netns(), new PathEnd.Host(), address, ProbeProtocol.TCP);
  }

  private String ip(String arguments) {
    return IpCommand.in(world.host().netns().path(), arguments);
  }

  @Test
  void publishedPortIsBehindABridgeThatIsDown() throws Exception {
    world.publish(world.a(), 80);
    world.host("ip", "link", "set", "br50", "down");
    assertFinding(
        traceOwnPort("127.0.0.1"),
        PathCause.LINK_DOWN,
        "bridge br50 of host is down",
        ip("link set br50 up; cni repair"));
  }

  @Test
  void publishedPortIsBehindABridgeThatWasDeleted() throws Exception {
    world.publish(world.a(), 80);
    world.host("ip", "link", "del", "br50");
    String text = "bridge br50 of network n does not exist";
    assertFinding(traceOwnPort("127.0.0.1"), PathCause.INTERFACE_GONE, text, "cni repair n");
    PathFinding out = trace(world.a(), new PathEnd.Host(), "10.50.0.1", ProbeProtocol.ICMP);
    assertFinding(out, PathCause.INTERFACE_GONE, text, "cni repair n");
  }

  @Test
  void publishedPortIsBehindABridgeWithoutAddress() throws Exception {
    world.publish(world.a(), 80);
    world.host("ip", "addr", "del", "10.50.0.1/24", "dev", "br50");
    assertFinding(
        traceOwnPort("127.0.0.1"),
        PathCause.ADDRESS_MISSING,
        "bridge br50 does not have 10.50.0.1",
        "cni repair n");
  }

  @Test
  void rulesOfAPublishedPortWereDeleted() throws Exception {
    world.publish(world.a(), 80);
    world.host("nft", "flush", "table", "ip", "cni_hostport");
    assertFinding(
        traceOwnPort("127.0.0.1"),
        PathCause.NOT_TRANSLATED,
        "but no rule translates it",
        "cni repair n " + world.a().path());
  }

  @Test
  void publishedPortCannotBeReachedByTheLoopbackAddressOfIpv6() throws Exception {
    world.publish(world.a(), 80);
    assertFinding(
        traceOwnPort("::1"),
        PathCause.LOOPBACK_SOURCE,
        "packets from ::1 cannot be forwarded",
        "use another address of the host, such as [fd50::1]:8000");
  }

  @Test
  void hostHasNoRoute() throws Exception {
    world.bridge();
    var outside = new PathEnd.Outside(InetAddress.ofLiteral("203.0.113.1"));
    assertFinding(
        trace(world.a(), outside, "203.0.113.1", ProbeProtocol.ICMP),
        PathCause.NO_ROUTE,
        "host has no route",
        RemedyText.commented(
            ip("route add default via ROUTER"), "or correct the host's network configuration"));
  }

  @Test
  void containerHasLostItsDefaultRoute() throws Exception {
    world.bridge();
    PathWorld.in(world.a(), "ip", "route", "del", "default");
    var outside = new PathEnd.Outside(InetAddress.ofLiteral("203.0.113.1"));
    PathFinding found = trace(world.a(), outside, "203.0.113.1", ProbeProtocol.ICMP);
    assertFinding(found, PathCause.NO_ROUTE, "has no route to", "cni repair n " + world.a().path());
  }

  @Test
  void configurationGivesNoDefaultRoute() throws Exception {
    world
        .host()
        .network(
            "n",
            "1.1.0",
            """
            { "type": "bridge", "bridge": "br50", "isGateway": true, "isDefaultGatway": true,
              "ipam": { "type": "host-local", "dataDir": "@DATA@", "subnet": "10.50.0.0/24" } }
            """);
    world.cni().network("n").add(TestHost.attachment(world.a()));
    var outside = new PathEnd.Outside(InetAddress.ofLiteral("203.0.113.1"));
    PathFinding found = trace(world.a(), outside, "203.0.113.1", ProbeProtocol.ICMP);
    assertEquals(PathCause.NO_ROUTE, found.cause());
    assertTrue(
        found.remedy().startsWith("cni validate n  # its configuration gives"), found::remedy);
    PastedRemedy.assertPasteable(found.remedy());
  }

  /** Rules of the plugin firewall that are missing are restored; other chains are the host's. */
  @Test
  void anotherChainDropsWhatTheFirewallPluginNoLongerAccepts() throws Exception {
    NetNs outside = world.outside();
    world.bridge("n", 50, "\"ipMasq\": true,", "{ \"type\": \"firewall\" }", world.a());
    PathWorld.in(outside, "ip", "route", "add", "default", "via", TestHost.HOST_V4);
    world.host("iptables", "-P", "FORWARD", "DROP");
    PathEnd to = new PathEnd.Outside(InetAddress.ofLiteral(TestHost.OUTSIDE_V4));
    PathFinding listed = trace(outside, world.end(world.a()), "10.50.0.2", ProbeProtocol.ICMP);
    assertTrue(listed.remedy().startsWith("iptables -t filter -S  # not a rule"), listed::remedy);

    world.host("iptables", "-F", "CNI-FORWARD");
    PathFinding flushed = trace(world.a(), to, TestHost.OUTSIDE_V4, ProbeProtocol.ICMP);
    assertFinding(
        flushed,
        PathCause.CHAIN_POLICY,
        "policy drop of chain ip filter FORWARD",
        "cni repair n " + world.a().path());
  }

  /** The command is pasted, and the connection then gets through. */
  @Test
  void anotherChainDropsConnectionsToAPublishedPort() throws Exception {
    NetNs outside = world.outside();
    world.publish(world.a(), 80);
    world.host("iptables", "-P", "FORWARD", "DROP");
    PathFinding found = trace(outside, new PathEnd.Host(), TestHost.HOST_V4, ProbeProtocol.TCP);
    assertFinding(
        found,
        PathCause.CHAIN_POLICY,
        "policy drop of chain ip filter FORWARD",
        "iptables -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT");
    world.host(found.remedy().split(" ", -1));
    PathFinding open = trace(outside, new PathEnd.Host(), TestHost.HOST_V4, ProbeProtocol.TCP);
    assertEquals(PathCause.NO_LISTENER, open.cause());
  }

  @Test
  void packetIsLongerThanAnInterfaceTransmits() throws Exception {
    world.bridge();
    PathWorld.in(world.b(), "ip", "link", "set", "eth0", "mtu", "1300");
    var tracer =
        new PathTracer(Optional.of(world.host().netns().path()), world.cni().attachments());
    PathReport report =
        tracer.trace(
            new PathQuery(
                world.end(world.a()),
                world.end(world.b()),
                InetAddress.ofLiteral("10.50.0.3"),
                ProbeProtocol.ICMP,
                0,
                1400,
                true));
    String remedy = report.finding().orElseThrow().remedy();
    String command = IpCommand.in(world.b().path(), "link set eth0 mtu 1400");
    assertTrue(remedy.startsWith(command + "  # "), remedy);
  }
}
