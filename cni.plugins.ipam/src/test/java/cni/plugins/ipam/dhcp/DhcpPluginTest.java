// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.runtime.Cni;
import cni.runtime.CniBuilder;
import cni.testing.DhcpServer;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The dhcp plugin with the servers dnsmasq and Kea: leases acquired and released. */
@KernelTest(commands = {"dnsmasq", "kea-dhcp4", "kea-dhcp6"})
class DhcpPluginTest extends DhcpTestNetwork {
  @Test
  void leasesAndReleasesBothFamilies() throws Exception {
    network(", \"families\": [\"ipv4\", \"ipv6\"], \"priority\": 77");
    try (DhcpServer server =
            dnsmasq(
                V4,
                V6,
                "--dhcp-option=option:router,192.0.2.2",
                "--dhcp-option=option:dns-server,192.0.2.9",
                "--domain=example.org",
                "--dhcp-option=option6:dns-server,[2001:db8::9]");
        Cni cni = host.openCni()) {
      Result result = cni.network("n").add(attachment(a));
      assertTrue(address(result, 0).startsWith("192.0.2."), result::toString);
      assertTrue(address(result, 1).startsWith("2001:db8::"), result::toString);
      assertEquals(24, result.ips().getFirst().address().prefix());
      assertTrue(hasAddress(address(result, 0)) && hasAddress(address(result, 1)));
      assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
      String routes = TestBed.run(a, "ip", "route");
      assertTrue(routes.contains("default via 192.0.2.2 dev eth0 metric 77"), routes);
      assertEquals(2, leases().size());
      cni.network("n").check(attachment(a));
      cni.network("n").delete(attachment(a));
      server.awaitLog("DHCPRELEASE\\(up1\\) " + address(result, 0));
      server.awaitLog("DHCPRELEASE\\(up1\\)", 2);
      cni.network("n").delete(attachment(a));
      assertEquals(List.of(), leases());
      assertEquals("", TestBed.run(a, "ip", "link", "show", "type", "macvlan"));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void addFailsWithTryAgainLaterWithoutServerOrFreeAddress(boolean v6) throws Exception {
    network(v6);
    String one = v6 ? "2001:db8::50-2001:db8::50" : "192.0.2.50 - 192.0.2.50";
    CniBuilder builder = host.builder().timeout(Duration.ofSeconds(5));
    try (Cni cni = builder.build()) {
      CniException e = assertThrows(CniException.class, () -> cni.network("n").add(attachment(b)));
      assertEquals(ErrorCode.TRY_AGAIN_LATER.value(), e.code(), e.getMessage());
      try (DhcpServer _ = kea(v6, one)) {
        cni.network("n").add(attachment(a));
        e = assertThrows(CniException.class, () -> cni.network("n").add(attachment(b)));
        assertEquals(ErrorCode.TRY_AGAIN_LATER.value(), e.code(), e.getMessage());
        assertTrue(String.valueOf(e.getMessage()).contains("granted an address"), e::getMessage);
        assertEquals("", TestBed.run(b, "ip", "link", "show", "type", "macvlan"));
        assertEquals(1, leases().size());
        cni.network("n").delete(attachment(a));
        cni.network("n").add(attachment(b));
        cni.network("n").delete(attachment(b));
      }
    }
  }

  @Test
  void hostThatRunsTheDaemonLeavesLeasesToIt() throws Exception {
    assumeTrue(
        Files.notExists(DhcpConfig.DEFAULT_SOCKET),
        "a DHCP daemon of this machine serves " + DhcpConfig.DEFAULT_SOCKET);
    network("");
    try (Cni resident = host.openCni();
        Cni daemonHost = host.builder().runsDaemons().build()) {
      resident.network("n").status();
      CniException e = assertThrows(CniException.class, () -> daemonHost.network("n").status());
      assertEquals(ErrorCode.NOT_AVAILABLE.value(), e.code(), e.getMessage());
      assertTrue(e.getMessage().contains("" + DhcpConfig.DEFAULT_SOCKET), e.getMessage());
    }
  }

  @Test
  void sendsProvidedOptionsAndReturnsClasslessRoutes() throws Exception {
    network(
        ", \"provide\": [{\"option\": \"host-name\", \"fromArg\": \"K8S_POD_NAME\"},"
            + "{\"option\": \"60\", \"value\": \"cni-test\"}],"
            + "\"request\": [{\"option\": \"121\"}]");
    try (DhcpServer server =
            dnsmasq(
                V4,
                "--dhcp-vendorclass=set:ours,cni-test",
                "--dhcp-option=tag:ours,option:classless-static-route,"
                    + "198.51.100.0/25,192.0.2.2,203.0.113.7/32,0.0.0.0");
        Cni cni = host.openCni()) {
      cni.network("n").add(attachment(a).withArgs(Map.of("K8S_POD_NAME", "pod-1")));
      String routes = TestBed.run(a, "ip", "route");
      assertTrue(routes.contains("198.51.100.0/25 via 192.0.2.2 dev eth0"), routes);
      assertTrue(routes.contains("203.0.113.7 dev eth0 scope link"), routes);
      server.awaitLog("client provides name: pod-1");
      cni.network("n").delete(attachment(a));
    }
  }

  @Test
  void gcReleasesLeasesOfInvalidAttachments() throws Exception {
    network("");
    try (DhcpServer server = dnsmasq(V4);
        Cni cni = host.openCni()) {
      String address = address(cni.network("n").add(attachment(a)), 0);
      cni.network("n").add(attachment(b));
      host.deleteResults();
      cni.network("n").gc(Set.of(attachment(b).id()));
      server.awaitLog("DHCPRELEASE\\(up1\\) " + address);
      assertEquals(1, leases().size());
      cni.network("n").delete(attachment(b));
      cni.network("n").delete(attachment(a));
    }
    assertEquals(List.of(), leases());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"families\": [\"ipv5\"]",
        "\"provide\": [{\"option\": \"no-such\", \"value\": \"x\"}]",
        "\"request\": [{\"option\": \"255\"}]",
        "\"priority\": -1"
      })
  void invalidConfigurationIsReported(String option) throws Exception {
    network(", " + option);
    try (Cni cni = host.openCni()) {
      CniException e = assertThrows(CniException.class, () -> cni.network("n").add(attachment(a)));
      assertEquals(ErrorCode.INVALID_CONFIG.value(), e.code(), e.getMessage());
      assertEquals("", TestBed.run(a, "ip", "link", "show", "type", "macvlan"));
    }
  }

  @Test
  void oneShotProcessWithoutDaemonFails() throws Exception {
    Path socket = host.ipamData().resolve("no.sock");
    network(", \"daemonSocketPath\": \"" + socket + "\"");
    try (Cni cni = host.builder().oneShot().build()) {
      CniException e = assertThrows(CniException.class, () -> cni.network("n").add(attachment(a)));
      assertTrue(String.valueOf(e.getMessage()).contains("cni dhcp daemon"), e::getMessage);
      e = assertThrows(CniException.class, () -> cni.network("n").status());
      assertEquals(ErrorCode.NOT_AVAILABLE.value(), e.code());
      cni.network("n").delete(attachment(a));
    }
  }
}
