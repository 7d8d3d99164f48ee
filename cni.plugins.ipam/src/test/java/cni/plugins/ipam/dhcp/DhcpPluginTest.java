package cni.plugins.ipam.dhcp;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.PluginEvent;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Subscription;
import cni.testing.DhcpServer;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The dhcp plugin with the servers dnsmasq and Kea: leases acquired, renewed, lost and released.
 */
@KernelTest(commands = {"dnsmasq", "kea-dhcp4", "kea-dhcp6"})
class DhcpPluginTest {
  private static final String V4 = "--dhcp-range=192.0.2.50,192.0.2.60,255.255.255.0,10m";
  private static final String V6 = "--dhcp-range=2001:db8::50,2001:db8::60,64,10m";

  private TestHost host;
  private NetNs a;
  private NetNs b;
  private NetNs outside;

  @BeforeEach
  void open() throws IOException {
    host = new TestHost();
    a = host.container("a");
    b = host.container("b");
    outside = host.outside();
    Files.createDirectories(host.ipamData());
  }

  @AfterEach
  void close() throws IOException {
    host.close();
  }

  private void network(String options) throws IOException {
    host.network(
        "n",
        "1.1.0",
        "{\"type\":\"test-macvlan\",\"master\":\"up0\",\"ipam\":{\"type\":\"dhcp\"%s}}"
            .formatted(options));
  }

  private DhcpServer dnsmasq(String... options) throws IOException, InterruptedException {
    return DhcpServer.dnsmasq(outside, "up1", host.ipamData(), options);
  }

  private DhcpServer kea(boolean v6, String pool) throws IOException, InterruptedException {
    return kea(v6, pool, "0102");
  }

  private DhcpServer kea(boolean v6, String pool, String identity)
      throws IOException, InterruptedException {
    return DhcpServer.kea(outside, "up1", host.ipamData(), v6, pool, identity);
  }

  private static String address(Result result, int index) {
    return InetAddresses.format(result.ips().get(index).address().address());
  }

  private List<String> leases() throws IOException {
    Path directory = host.cache().resolve("dhcp");
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(String::valueOf).filter(it -> it.endsWith(".lease")).toList();
    }
  }

  private static void await(String what, Condition condition) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(25).toNanos();
    while (!condition.holds()) {
      assertTrue(System.nanoTime() < end, what);
      Thread.sleep(100);
    }
  }

  private interface Condition {
    boolean holds() throws Exception;
  }

  private boolean hasAddress(String address) throws IOException {
    return TestBed.run(a, "ip", "addr", "show", "eth0").contains(address + "/");
  }

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

  private String leaseFile() throws IOException {
    return Files.readString(Path.of(leases().getFirst()));
  }

  private String obtained() throws IOException {
    return leaseFile().replaceAll("(?s).*\"obtained\":(\\d+).*", "$1");
  }

  /** Waits until the lease has been renewed this number of times. */
  private void awaitRenewals(int times) throws Exception {
    for (int i = 0; i < times; i++) {
      String before = obtained();
      await("the lease is not renewed: " + leaseFile(), () -> !obtained().equals(before));
    }
  }

  private void network(boolean v6) throws IOException {
    network(v6 ? ", \"families\": [\"ipv6\"]" : "");
  }

  private static String pool(boolean v6) {
    return v6 ? "2001:db8::50-2001:db8::60" : "192.0.2.50 - 192.0.2.60";
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shortLeaseIsRenewedAndSurvivesServerRestart(boolean v6) throws Exception {
    network(v6);
    DhcpServer server = kea(v6, pool(v6));
    try (Cni cni = host.openCni()) {
      String address = address(cni.network("n").add(attachment(a)), 0);
      awaitRenewals(3);
      server.close();
      server = kea(v6, pool(v6));
      awaitRenewals(1);
      assertTrue(hasAddress(address));
      cni.network("n").check(attachment(a));
      cni.network("n").delete(attachment(a));
      server.awaitLog(v6 ? "RELEASE" : "DHCPRELEASE");
      assertEquals(List.of(), leases());
    } finally {
      server.close();
    }
  }

  /** The other server has the same leases; it is reached by the multicast of a rebind. */
  @Test
  void rebindsToAnotherServer() throws Exception {
    network(true);
    DhcpServer server = kea(true, pool(true));
    try (Cni cni = host.openCni()) {
      String address = address(cni.network("n").add(attachment(a)), 0);
      String first = leaseFile().replaceAll(".*\"server\":\"(\\w+)\".*", "$1");
      server.close();
      server = kea(true, pool(true), "0304");
      awaitRenewals(1);
      assertFalse(leaseFile().contains(first), "granted by the other server now");
      assertTrue(hasAddress(address));
      cni.network("n").delete(attachment(a));
    } finally {
      server.close();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void addressIsRemovedAtExpiryWhenTheServerIsGone(boolean v6) throws Exception {
    network(v6);
    try (Cni cni = host.openCni()) {
      String address;
      try (DhcpServer _ = kea(v6, pool(v6))) {
        address = address(cni.network("n").add(attachment(a)), 0);
      }
      assertTrue(hasAddress(address));
      cni.network("n").check(attachment(a));
      await("the address remains after its expiry", () -> !hasAddress(address));
      CniException e =
          assertThrows(CniException.class, () -> cni.network("n").check(attachment(a)));
      assertTrue(
          String.valueOf(e.getMessage()).contains("it expired and was not renewed"), e::getMessage);
      cni.network("n").delete(attachment(a));
      assertEquals(List.of(), leases());
    }
  }

  /** The server has lost its leases and has other addresses, so it replies with DHCPNAK. */
  @Test
  void nakRemovesTheAddressAndPublishesLeaseLost() throws Exception {
    network("");
    var events = new LinkedBlockingQueue<PluginEvent>();
    try (Cni cni = host.openCni();
        Subscription _ = cni.onEvent(events::add)) {
      String address;
      try (DhcpServer _ = dnsmasq(V4, "--dhcp-option=option:T2,4s")) {
        address = address(cni.network("n").add(attachment(a)), 0);
      }
      Files.delete(host.ipamData().resolve("dnsmasq.leases"));
      String other = "--dhcp-range=192.0.2.90,192.0.2.99,255.255.255.0,10m";
      try (DhcpServer server = dnsmasq(other, "--dhcp-authoritative")) {
        server.awaitLog("DHCPNAK\\(up1\\) " + address);
        await("the address remains", () -> !hasAddress(address));
        PluginEvent event = events.poll(10, TimeUnit.SECONDS);
        assertTrue(
            event != null
                && event.kind() == PluginEvent.Kind.LEASE_LOST
                && event.attachment().equals(Optional.of(attachment(a).id()))
                && event.message().contains(address.replaceAll("/.*", "")),
            () -> String.valueOf(event));
        assertThrows(CniException.class, () -> cni.network("n").check(attachment(a)));
        cni.network("n").delete(attachment(a));
      }
    }
  }

  /** The server has lost its leases, but may grant the same address again. */
  @Test
  void serverWithoutItsLeasesGrantsTheSameAddressAgain() throws Exception {
    network("");
    try (Cni cni = host.openCni()) {
      String address;
      try (DhcpServer _ = dnsmasq(V4, "--dhcp-option=option:T2,4s")) {
        address = address(cni.network("n").add(attachment(a)), 0);
      }
      Files.delete(host.ipamData().resolve("dnsmasq.leases"));
      try (DhcpServer server = dnsmasq(V4)) {
        server.awaitLog("DHCPACK\\(up1\\) " + address);
        cni.network("n").check(attachment(a));
        assertTrue(hasAddress(address));
        cni.network("n").delete(attachment(a));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void addFailsWithTryAgainLaterWithoutServerOrFreeAddress(boolean v6) throws Exception {
    network(v6);
    String one = v6 ? "2001:db8::50-2001:db8::50" : "192.0.2.50 - 192.0.2.50";
    Cni.Builder builder = host.builder().timeout(Duration.ofSeconds(5));
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

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void nextProcessAdoptsLeasesOfAKilledProcess(boolean v6) throws Exception {
    network(v6);
    try (DhcpServer server = kea(v6, pool(v6))) {
      Process holder =
          new ProcessBuilder(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "--enable-native-access=ALL-UNNAMED",
                  "-cp",
                  System.getProperty("java.class.path"),
                  LeaseHolderProcess.class.getName(),
                  host.networks().toString(),
                  host.cache().toString(),
                  host.netns().path().toString(),
                  a.path().toString())
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      try {
        String line = holder.inputReader().readLine();
        assertTrue(String.valueOf(line).startsWith(v6 ? "2001:db8::" : "192.0.2."), line);
      } finally {
        holder.destroyForcibly().waitFor();
      }
      String before = obtained();
      Thread.sleep(3000);
      assertEquals(before, obtained(), "no process renews it meanwhile");
      try (Cni cni = host.openCni()) {
        awaitRenewals(2);
        cni.network("n").check(attachment(a));
        cni.network("n").delete(attachment(a));
        server.awaitLog(v6 ? "RELEASE" : "DHCPRELEASE");
      }
    }
    assertEquals(List.of(), leases());
  }

  @Test
  void dhcpv6ServerWithoutItsLeasesGrantsTheSameAddressAgain() throws Exception {
    network(true);
    try (Cni cni = host.openCni()) {
      String address;
      try (DhcpServer _ = kea(true, pool(true))) {
        address = address(cni.network("n").add(attachment(a)), 0);
      }
      Files.delete(host.ipamData().resolve("kea6.leases"));
      try (DhcpServer _ = kea(true, pool(true))) {
        awaitRenewals(2);
        cni.network("n").check(attachment(a));
        assertTrue(hasAddress(address));
        cni.network("n").delete(attachment(a));
      }
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

  /** The owner must not write the lease again when its renewal completes after the release. */
  @Test
  void leaseReleasedByAnotherProcessIsNotRevivedByItsOwner() throws Exception {
    network("");
    try (DhcpServer server = kea(false, pool(false));
        Cni first = host.openCni()) {
      first.network("n").add(attachment(a));
      String owner = leaseFile().replaceAll(".*\"keeper\":\"([^\"]+)\".*", "$1");
      try (Cni second = host.openCni()) {
        awaitRenewals(1);
        assertTrue(leaseFile().contains(owner), "the first process still owns it");
        second.network("n").check(attachment(a));
        second.network("n").delete(attachment(a));
        server.awaitLog("DHCPRELEASE");
      }
      int requests = server.count("DHCPREQUEST");
      Thread.sleep(4000);
      assertEquals(List.of(), leases());
      assertEquals(requests, server.count("DHCPREQUEST"));
    }
  }
}
