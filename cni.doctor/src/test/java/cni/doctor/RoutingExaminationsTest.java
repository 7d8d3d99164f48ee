// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.api.Attachment;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is found when the host does not route packets of attachments. */
@KernelTest(commands = {"ip", "sysctl"})
class RoutingExaminationsTest {
  private static final String SECOND =
      """
      { "type": "bridge", "bridge": "br1", "isGateway": true,
        "ipam": { "type": "host-local", "dataDir": "@DATA@", "subnet": "10.51.0.0/24" } }
      """;

  @Test
  void forwardingIsOff(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      examined.run("sysctl -qw net.ipv4.ip_forward=0");
      Finding found =
          examined.assertOnly(
              FindingKind.FORWARDING_OFF,
              "net.ipv4.ip_forward = 0",
              "sysctl -w net.ipv4.ip_forward=1");
      assertEquals(List.of("n"), found.networks());
    }
  }

  @Test
  void forwardingOfIpv6IsOff(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      examined.run("sysctl -qw net.ipv6.conf.all.forwarding=0");
      examined.assertOnly(
          FindingKind.FORWARDING_OFF,
          "net.ipv6.conf.all.forwarding = 0",
          "sysctl -w net.ipv6.conf.all.forwarding=1");
    }
  }

  @Test
  void strictRpFilterDropsAnswersFromASecondAddress(TestHost host) throws Exception {
    host.dualStack("n", "");
    host.network("m", "1.0.0", SECOND);
    try (var examined = new ExaminedHost(host)) {
      NetNs a = host.container("a");
      examined.add("n", a);
      examined.cni().network("m").add(Attachment.of(TestBed.nameOf(a), a.path(), "eth1"));
      examined.run("sysctl -qw net.ipv4.conf.all.rp_filter=0");
      examined.run("sysctl -qw net.ipv4.conf.br0.rp_filter=0");
      examined.assertHealthy();

      examined.run("sysctl -qw net.ipv4.conf.br0.rp_filter=1");
      Finding found =
          examined.assertOnly(
              FindingKind.RP_FILTER_STRICT,
              "answers from 10.51.0.2 by it",
              "sysctl -w net.ipv4.conf.br0.rp_filter=2");
      assertEquals(List.of("m"), found.networks());

      TestBed.run(a, "ip", "rule", "add", "from", "10.51.0.2", "table", "100");
      examined.assertHealthy();
    }
  }

  @Test
  void routeToAContainerLeadsElsewhere(TestHost host) throws Exception {
    host.outside();
    try (var examined = ExaminedHost.withAttachment(host)) {
      examined.run("ip route add 10.50.0.2/32 via " + TestHost.OUTSIDE_V4);
      examined.assertOnly(
          FindingKind.ROUTE_SHADOWED,
          "ip route get 10.50.0.2: dev up0 instead of dev br0",
          "delete that route");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"blackhole", "prohibit", "unreachable"})
  void routeToAContainerDiscards(String type, TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      examined.run("ip route add " + type + " 10.50.0.2");
      examined.assertOnly(
          FindingKind.ROUTE_SHADOWED,
          "ip route get 10.50.0.2: unreachable instead of dev br0",
          "delete that route");
    }
  }

  @Test
  void hostHasNoDefaultRouteToMasqueradeFor(TestHost host) throws Exception {
    host.dualStack("n", "\"ipMasq\": true,");
    try (var examined = new ExaminedHost(host)) {
      examined.add("n", host.container("a"));
      examined.assertOnly(
          FindingKind.DEFAULT_ROUTE_MISSING, "no default", "ip route add default via");
    }
  }

  @Test
  void uplinkTakesSmallerPackets(TestHost host) throws Exception {
    host.outside();
    try (var examined = ExaminedHost.withAttachment(host)) {
      examined.run("ip route add default via " + TestHost.OUTSIDE_V4);
      examined.assertHealthy();

      examined.run("ip link set up0 mtu 1400");
      examined.assertOnly(
          FindingKind.MTU_ABOVE_UPLINK, "mtu 1400 of up0", "\"mtu\": 1400 in the network");
    }
  }

  @Test
  void routerAdvertisementsAreNotHeededAnyMore(TestHost host) throws Exception {
    host.outside();
    try (var examined = ExaminedHost.withAttachment(host)) {
      examined.run("sysctl -qw net.ipv6.conf.up0.accept_ra=1");
      examined.run("ip -6 route add default via " + TestHost.OUTSIDE_V6 + " proto ra");
      examined.assertOnly(
          FindingKind.ACCEPT_RA_IGNORED,
          "net.ipv6.conf.up0.accept_ra = 1",
          "sysctl -w net.ipv6.conf.up0.accept_ra=2");

      examined.run("sysctl -qw net.ipv6.conf.up0.accept_ra=2");
      examined.assertHealthy();
    }
  }
}
