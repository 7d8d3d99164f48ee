// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What is found of published ports. */
@KernelTest(commands = {"ip", "bridge", "sysctl"})
class PortExaminationsTest {
  private static ExaminedHost withPort(TestHost host, String protocol) throws Exception {
    host.network(
        "n",
        "1.0.0",
        TestHost.DUAL_STACK.formatted(""),
        """
        { "type": "portmap", "capabilities": { "portMappings": true } }
        """);
    var examined = new ExaminedHost(host);
    examined.publish("n", host.container("a"), 8080, 80, protocol);
    return examined;
  }

  @Test
  void programOfTheHostListensOnThePort(TestHost host) throws Exception {
    try (var examined = withPort(host, "tcp")) {
      host.serve(host.netns(), 8081);
      examined.assertHealthy();

      host.serve(host.netns(), 8080);
      examined.assertOnly(FindingKind.PORT_TAKEN, "tcp listens on", "publish another port");
    }
  }

  @Test
  void datagramSocketOfTheHostHasThePort(TestHost host) throws Exception {
    try (var examined = withPort(host, "udp")) {
      host.serve(host.netns(), 8080);
      examined.assertOnly(FindingKind.PORT_TAKEN, ":8080, published by", "publish another port");
    }
  }

  @Test
  void portCannotBeReachedByLoopback(TestHost host) throws Exception {
    try (var examined = withPort(host, "tcp")) {
      examined.run("sysctl -qw net.ipv4.conf.br0.route_localnet=0");
      Finding found =
          examined.assertOnly(
              FindingKind.ROUTE_LOCALNET_OFF,
              "net.ipv4.conf.br0.route_localnet = 0",
              "sysctl -w net.ipv4.conf.br0.route_localnet=1");
      assertEquals("eth0", found.attachment().orElseThrow().interfaceName());
    }
  }

  @Test
  void containerNeedNotReachItselfByLoopbackOfTheHost(TestHost host) throws Exception {
    host.network(
        "n",
        "1.0.0",
        TestHost.DUAL_STACK.formatted(""),
        "{ \"type\": \"portmap\", \"capabilities\": { \"portMappings\": true } }");
    try (var examined = new ExaminedHost(host)) {
      String mapping =
          "[{\"hostPort\": 8080, \"containerPort\": 80, \"protocol\": \"tcp\","
              + " \"hostIP\": \"127.0.0.1\"}]";
      NetNs a = host.container("a");
      examined.cni().network("n").add(TestHost.attachment(a, "portMappings", mapping));
      String port = TestBed.linkNames(host.netns(), "veth").getFirst();
      examined.run("ip link set " + port + " type bridge_slave hairpin off");
      examined.fakeProc("sys/net/bridge/bridge-nf-call-iptables", "1\n");
      List<FindingKind> found = examined.examine().findings().stream().map(Finding::kind).toList();
      assertFalse(found.contains(FindingKind.HAIRPIN_OFF), found::toString);
    }
  }

  @Test
  void containerCannotReachItselfByItsPort(TestHost host) throws Exception {
    try (var examined = withPort(host, "tcp")) {
      String port = TestBed.linkNames(host.netns(), "veth").getFirst();
      examined.run("ip link set " + port + " type bridge_slave hairpin off");
      examined.fakeProc("sys/net/bridge/bridge-nf-call-iptables", "1\n");
      examined.assertFirst(
          FindingKind.HAIRPIN_OFF, port + ": hairpin off", "bridge link set dev " + port);

      examined.run("ip link set " + port + " type bridge_slave hairpin on");
      examined.assertHealthy();
    }
  }

  @Test
  void datagramsStillGoToAContainerThatHasGone(TestHost host) throws Exception {
    NetNs outside = host.outside();
    try (var examined = withPort(host, "udp")) {
      NetNs a = host.namespaces().getLast();
      host.serve(a, 80);
      host.awaitAddresses();
      TestBed.run(outside, "ip", "route", "add", "10.50.0.0/24", "via", TestHost.HOST_V4);
      assertTrue(Probe.udp(outside, TestHost.HOST_V4, 8080).isPresent());
      examined.assertHealthy();

      host.deleteResults(); // as if another program had lost it
      examined.assertFirst(
          FindingKind.CONNECTION_STALE,
          "port 8080 is translated to 10.50.0.2",
          "conntrack -D -p udp --reply-src 10.50.0.2");
    }
  }
}
