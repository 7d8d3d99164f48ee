// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.plugins.ipam.NoOpPluginHost;
import cni.testing.DhcpServer;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.ReferencePlugins;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.UpdateTester;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Repair and update of leases, without an interface plugin. */
@KernelTest(commands = "dnsmasq", reference = true)
class DhcpUpdateTest extends DhcpTestNetwork {
  private static final String BOTH = "\"families\":[\"ipv4\",\"ipv6\"]";
  private static final String IPV4 = "\"families\":[\"ipv4\"]";

  private final DhcpPlugin plugin = new DhcpPlugin();
  private Optional<Process> daemon = Optional.empty();
  private Result added = Result.EMPTY;

  @BeforeEach
  void addInterface() throws Exception {
    TestBed.run(
        host.netns(),
        ("ip link add link up0 name eth0 netns " + TestBed.nameOf(a) + " type macvlan mode bridge")
            .split(" "));
  }

  @AfterEach
  void stop() throws Exception {
    plugin.stop();
    if (daemon.isPresent()) {
      daemon.get().destroyForcibly().waitFor();
    }
  }

  private Path socket() {
    return host.ipamData().resolve("dhcp.sock");
  }

  /** Keeps the leases in this process, or in a daemon. */
  private void start(boolean inDaemon) throws Exception {
    if (inDaemon) {
      Path log = host.ipamData().resolve("daemon.log");
      Process started =
          DhcpDaemonProcess.start(
              "022",
              log,
              "-socketpath=" + socket(),
              "-leases=" + host.cache().resolve("dhcp"),
              "-resendtimeout=30s");
      daemon = Optional.of(started);
      DhcpDaemonProcess.await(started, socket(), log);
    } else {
      plugin.start(new NoOpPluginHost(host.cache()));
    }
  }

  private AttachmentRequest request(String ipam) throws CniException {
    String more = daemon.isPresent() ? ",\"daemonSocketPath\":\"" + socket() + "\"" : "";
    String text =
        "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"type\":\"x\",\"ipam\":{\"type\":\"dhcp\",%s%s}}"
            .formatted(ipam, more);
    return new AttachmentRequest(
        PluginConfig.of(new ConfigObject(Json.parse(text, "test"), "")),
        TestHost.attachment(a),
        added.ips().isEmpty() ? Optional.empty() : Optional.of(added),
        new CallContext(
            Optional.empty(),
            Deadline.after(Duration.ofSeconds(30)),
            type -> {
              throw new CniException(ErrorCode.INTERNAL, type);
            }));
  }

  private UpdateTester repair(String ipam) throws CniException {
    return new UpdateTester(
        plugin, UpdateRequest.unchanged(request(ipam)), () -> HostSnapshot.of(a));
  }

  private void deleteLeases() throws Exception {
    for (String lease : leases()) {
      Files.delete(Path.of(lease));
    }
  }

  private String missing(String family) {
    return "container %s, interface eth0 has no %s lease".formatted(TestBed.nameOf(a), family);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void lostLeasesAreAcquiredAgainWithTheirAddresses(boolean inDaemon) throws Exception {
    start(inDaemon);
    try (DhcpServer server = dnsmasq(V4, V6, "--dhcp-option=option:router,192.0.2.2")) {
      added = plugin.add(request(BOTH));
      assertEquals(Optional.empty(), repair(BOTH).check());
      assertEquals(added, repair(BOTH).apply());
      assertEquals(1, server.count("DHCPACK"), "nothing was acquired for it");
      deleteLeases();
      String finding = missing("ipv4") + "; " + missing("ipv6");
      assertEquals(Optional.of(finding), repair(BOTH).check());
      assertEquals(List.of(finding), repair(BOTH).compare());
      assertEquals(1, server.count("DHCPACK"), "a comparison changes nothing");
      assertEquals(added, repair(BOTH).apply());
      server.awaitLog("DHCPACK\\(up1\\) " + address(added, 0), 2);
      assertEquals(2, leases().size());
      Files.delete(
          Path.of(leases().stream().filter(it -> it.contains("ipv6")).findFirst().orElseThrow()));
      assertEquals(List.of(missing("ipv6")), repair(BOTH).compare());
      assertEquals(added, repair(BOTH).apply());
      plugin.delete(request(BOTH));
      server.awaitLog("DHCPRELEASE", 2);
      assertEquals(List.of(), leases());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void leasesAcquiredAgainAreDroppedIfTheUpdateFails(boolean inDaemon) throws Exception {
    start(inDaemon);
    try (DhcpServer server = dnsmasq(V4, V6)) {
      added = plugin.add(request(BOTH));
      deleteLeases();
      repair(BOTH).requireUndo();
      assertEquals(List.of(), leases());
      server.awaitLog("DHCPRELEASE", 2); // nothing uses the addresses
      for (Result.IpConfig ip : added.ips()) {
        TestBed.run(a, "ip", "address", "add", ip.address().toString(), "dev", "eth0");
      }
      repair(BOTH).requireUndo();
      assertEquals(List.of(), leases());
      assertEquals(added, repair(BOTH).apply());
      Files.delete(
          Path.of(leases().stream().filter(it -> it.contains("ipv6")).findFirst().orElseThrow()));
      List<String> whole = leases();
      repair(BOTH).requireUndo();
      assertEquals(whole, leases());
      assertEquals(2, server.count("DHCPRELEASE"), "the addresses are in use");
      plugin.delete(request(BOTH));
      server.awaitLog("DHCPRELEASE", 3);
      assertEquals(List.of(), leases());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void otherAddressesAreNotTakenInPlaceOfLostOnes(boolean inDaemon) throws Exception {
    start(inDaemon);
    try (DhcpServer _ = dnsmasq(V4)) {
      added = plugin.add(request(IPV4));
    }
    deleteLeases();
    Files.delete(host.ipamData().resolve("dnsmasq.leases"));
    try (DhcpServer server = dnsmasq("--dhcp-range=192.0.2.90,192.0.2.99,255.255.255.0,10m")) {
      CniException e = assertThrows(CniException.class, repair(IPV4)::apply);
      assertTrue(e.getMessage().contains("servers grant only other addresses now"), e::getMessage);
      server.awaitLog("DHCPRELEASE\\(up1\\) 192.0.2.9");
      assertEquals(List.of(), leases());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aLeaseOfAnotherAddressIsReported(boolean inDaemon) throws Exception {
    start(inDaemon);
    try (DhcpServer _ = dnsmasq(V4)) {
      added = plugin.add(request(IPV4));
      Cidr leased = added.ips().getFirst().address();
      added =
          added.withIps(
              List.of(
                  new Result.IpConfig(
                      Cidr.parse("192.0.2.99/24"),
                      Optional.empty(),
                      added.ips().getFirst().interfaceIndex())));
      String finding =
          "the lease of container %s is lost; the daemon now has [%s] for it"
              .formatted(TestBed.nameOf(a), leased);
      assertEquals(Optional.of(finding), repair(IPV4).check());
      assertThrows(AssertionError.class, repair(IPV4)::apply);
      plugin.delete(request(IPV4));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void theMetricOfRoutesChanges(boolean inDaemon) throws Exception {
    start(inDaemon);
    try (DhcpServer _ = dnsmasq(V4, "--dhcp-option=option:router,192.0.2.2")) {
      for (String[] change :
          new String[][] {{IPV4, IPV4 + ",\"priority\":77"}, {IPV4 + ",\"priority\":77", IPV4}}) {
        added = plugin.add(request(change[0]));
        Result updated =
            new UpdateTester(
                    plugin,
                    new UpdateRequest(request(change[0]), request(change[1])),
                    () -> HostSnapshot.of(a))
                .apply();
        assertEquals(change[1].endsWith("77") ? 77 : 0, updated.routes().getFirst().priority());
        assertEquals(plugin.add(request(change[1])), updated);
      }
      plugin.delete(request(IPV4));
    }
  }

  /** Its protocol has no other call: the daemon acquires a lease that it does not have. */
  @Test
  void theReferenceDaemonAllocatesAsForCheckOfTheReference() throws Exception {
    Path log = host.ipamData().resolve("daemon.log");
    String executable = ReferencePlugins.directory().resolve("dhcp").toString();
    Process started =
        new ProcessBuilder(executable, "daemon", "-socketpath", socket().toString())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    daemon = Optional.of(started);
    DhcpDaemonProcess.await(started, socket(), log);
    try (DhcpServer server = dnsmasq(V4)) {
      added = plugin.add(request(IPV4));
      assertEquals(added, repair(IPV4).apply());
      plugin.delete(request(IPV4));
      int acknowledged = server.count("DHCPACK");
      assertEquals(Optional.empty(), repair(IPV4).check());
      server.awaitLog("DHCPACK", acknowledged + 1);
      plugin.delete(request(IPV4));
    }
  }
}
