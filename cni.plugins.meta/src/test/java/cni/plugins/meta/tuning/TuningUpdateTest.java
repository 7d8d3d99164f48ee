// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.tuning;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Json;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.meta.UpdateRequests;
import cni.runtime.AttachmentUpdate;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.runtime.UpdateReport;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.ReferencePlugins;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.TrafficProbe;
import cni.testing.UpdateTester;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.IntNode;
import tools.jackson.databind.node.StringNode;

/** Repair and update of tuned interfaces: the state is that of a new ADD, and DEL restores all. */
@KernelTest(reference = true)
class TuningUpdateTest {
  private static final String ALL =
      """
      "mac": "02:aa:00:00:00:01", "mtu": 1300, "promisc": true, "allmulti": true, "txQLen": 77,
      "sysctl": { "net.core.somaxconn": "477", "net.ipv4.conf.IFNAME.arp_filter": "1",
                  "net.ipv6.conf.IFNAME.hop_limit": "33" }
      """;

  private final TestHost host;
  private final NetNs a;
  private final NetNs b;
  private HostSnapshot before;

  TuningUpdateTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
  }

  @BeforeEach
  void makeInterfaces() throws Exception {
    for (NetNs container : List.of(a, b)) {
      TestBed.run(container, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other");
    }
    host.script(
        "maker",
        """
        [ $CNI_COMMAND = ADD ] || exit 0
        mac=$(ip netns exec ${CNI_NETNS##*/} cat /sys/class/net/eth0/address)
        echo "{\\"cniVersion\\":\\"1.0.0\\",\\"interfaces\\":[{\\"name\\":\\"eth0\\",\\"mtu\\":1500,\
        \\"mac\\":\\"$mac\\",\\"sandbox\\":\\"$CNI_NETNS\\"}]}"
        """);
    before = state(a);
  }

  private static String config(String options) {
    return "{ \"type\": \"tuning\", \"dataDir\": \"@DATA@/tuning\" "
        + (options.isBlank() ? "" : ", ")
        + options
        + " }";
  }

  private void network(String options) throws IOException {
    host.network("n", "1.0.0", "{ \"type\": \"maker\" }", config(options));
  }

  private Network network() throws CniException {
    return host.openCni().network("n");
  }

  private Network reference() throws CniException, IOException {
    Path link = host.executables().resolve("tuning");
    if (Files.notExists(link)) {
      Files.createSymbolicLink(link, ReferencePlugins.directory().resolve("tuning"));
    }
    return host.builder().forceExecutables("tuning").build().network("n");
  }

  /** Returns the state of a container and of the saved settings, without names of containers. */
  private HostSnapshot state(NetNs container) throws IOException, CniException {
    List<String> lines = new ArrayList<>(HostSnapshot.of(container).lines());
    Path directory = host.ipamData().resolve("tuning");
    Path file = directory.resolve(attachment(container).containerId() + "_eth0.json");
    if (Files.exists(file)) {
      addLines("saved ", Json.parse(Files.readAllBytes(file), "saved"), lines);
    }
    return new HostSnapshot(
        lines.stream()
            .map(it -> it.replace(TestBed.nameOf(container), "container"))
            .map(it -> it.replaceFirst("^[ab]: ", ""))
            .sorted()
            .toList());
  }

  private static void addLines(String prefix, JsonNode node, List<String> lines) {
    for (Map.Entry<String, JsonNode> entry : node.properties()) {
      if (entry.getValue().isObject()) {
        addLines(prefix + entry.getKey() + " ", entry.getValue(), lines);
      } else {
        lines.add(prefix + entry.getKey() + " " + entry.getValue());
      }
    }
  }

  /** DEL does not restore sysctls, which end with the namespace. */
  private static HostSnapshot withoutSysctls(HostSnapshot state) {
    return new HostSnapshot(
        state.lines().stream().filter(it -> !it.startsWith("sysctl ")).toList());
  }

  private UpdateTester tester(Result result, String current, String desired) throws Exception {
    return new UpdateTester(
        new TuningPlugin(),
        UpdateRequests.of(host, "n", attachment(a), result, config(current), config(desired)),
        () -> state(a));
  }

  private UpdateReport update() throws CniException {
    return network().update(attachment(a).id(), AttachmentUpdate.NONE.withNetworkConfig());
  }

  private Result cachedResult() throws CniException {
    return network().cachedResult(attachment(a).id()).orElseThrow();
  }

  @ParameterizedTest
  @CsvSource({
    "sysctl -w net.core.somaxconn=100",
    "sysctl -w net.ipv6.conf.eth0.hop_limit=34",
    "ip link set eth0 mtu 1400",
    "ip link set eth0 address 02:aa:00:00:00:09",
    "ip link set eth0 promisc off",
    "ip link set eth0 allmulticast off",
    "ip link set eth0 txqueuelen 78",
  })
  void damageIsRepairedAndTheRepairCanBeUndone(String damage) throws Exception {
    network(ALL);
    Result result = network().add(attachment(a));
    HostSnapshot whole = state(a);
    UpdateTester tester = tester(result, ALL, ALL);
    assertEquals(List.of(), tester.compare());
    TestBed.run(a, damage.split(" ", -1));
    assertTrue(tester.check().isPresent());
    tester.requireUndo();
    assertEquals(result, tester.apply());
    state(a).requireEqual(whole);
    TestBed.run(a, damage.split(" ", -1));
    assertEquals(1, network().repair(attachment(a).id()).steps().size());
    state(a).requireEqual(whole);
    network().delete(attachment(a));
    withoutSysctls(state(a)).requireEqual(withoutSysctls(before));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "somaxconn\": \"477|somaxconn\": \"478",
        "\"net.core.somaxconn\": \"477\",|",
        "\"net.core.somaxconn\": \"477\",|\"net.core.somaxconn\": \"477\", \"net.ipv4.tcp_ecn\": \"1\",",
        "02:aa:00:00:00:01|02:aa:00:00:00:02",
        "\"mac\": \"02:aa:00:00:00:01\",|",
        "1300|1400",
        "\"mtu\": 1300,|",
        "\"promisc\": true|\"promisc\": false",
        "\"allmulti\": true|\"allmulti\": false",
        "\"allmulti\": true,|",
        "\"txQLen\": 77|\"txQLen\": 78",
        "\"txQLen\": 77,|",
        "ALL|\"mtu\": 1400",
        "\"mtu\": 1400|ALL",
        "ALL|",
        "ALL|\"sysctl\": { }, \"args\": { \"cni\": { \"mtu\": 1350, \"sysctl\": { \"net.ipv4.tcp_ecn\": \"1\" } } }",
      })
  void updateLeavesTheStateOfANewAdd(String text, String replacement) throws Exception {
    String with = replacement == null ? "" : replacement.replace("ALL", ALL);
    boolean replacesAll = text.equals("ALL") || with.equals(ALL);
    String current = text.equals("ALL") || !replacesAll ? ALL : text;
    String desired = replacesAll ? with : ALL.replace(text, with);
    network(desired);
    Result fresh = network().add(attachment(b));
    HostSnapshot expected = state(b).withoutRandomNames();
    network().delete(attachment(b));
    network(current);
    Result result = network().add(attachment(a));

    tester(result, current, desired).requireUndo();
    network(desired);
    assertFalse(update().steps().isEmpty());
    state(a).withoutRandomNames().requireEqual(expected);
    Result.Interface updated = cachedResult().interfaces().getFirst();
    assertEquals(fresh.interfaces().getFirst().mtu(), updated.mtu());
    assertTrue(TestBed.run(a, "ip", "link", "show", "eth0").contains(updated.mac()));
    network().check(attachment(a));
    if (referenceSupports(desired)) {
      reference().check(attachment(a));
    }
    reference().delete(attachment(a));
    withoutSysctls(state(a)).requireEqual(withoutSysctls(before));
  }

  /** CHECK of versions without 1.1.0 lacks txQLen, and IFNAME in keys; none considers args. */
  private boolean referenceSupports(String options) throws CniException {
    boolean older =
        !host.withReference("tuning").plugins().versions("tuning").contains(SpecVersion.V1_1_0);
    return !options.contains("args")
        && !(older && (options.contains("txQLen") || options.contains("IFNAME")));
  }

  @Test
  void valueBeforeThatIsNotKnownStaysAndIsReported() throws Exception {
    network(ALL);
    Result result = network().add(attachment(a));
    Files.delete(
        host.ipamData().resolve("tuning").resolve(attachment(a).containerId() + "_eth0.json"));
    List<String> findings = tester(result, ALL, "").compare();
    assertEquals(8, findings.size(), findings::toString);
    assertEquals(
        7, findings.stream().filter(it -> it.contains("its value before is not known")).count());
    tester(result, ALL, "").requireUndo();
    network("");
    update();
    String link = TestBed.run(a, "ip", "link", "show", "eth0");
    assertTrue(link.contains("mtu 1300") && !link.contains("PROMISC"), link);
    network().check(attachment(a));
  }

  @Test
  void capabilityArgumentAndGenericArgumentChangeTheMac() throws Exception {
    network("\"capabilities\": { \"mac\": true }");
    network().add(attachment(a, "mac", "\"02:aa:00:00:00:03\""));
    AttachmentUpdate update =
        AttachmentUpdate.NONE.withCapabilityArg("mac", StringNode.valueOf("02:aa:00:00:00:04"));
    network().update(attachment(a).id(), update);
    assertTrue(TestBed.run(a, "ip", "link", "show", "eth0").contains("02:aa:00:00:00:04"));
    network().update(attachment(a).id(), AttachmentUpdate.NONE.withoutCapabilityArg("mac"));
    state(a).requireEqual(before);
    assertThrows(
        CniException.class,
        () ->
            network()
                .update(
                    attachment(a).id(),
                    AttachmentUpdate.NONE.withKey(
                        "tuning", "dataDir", StringNode.valueOf("/elsewhere"))));
  }

  private static final String MAC_CAPABILITY = "\"capabilities\": { \"mac\": true }";

  private Network bridged(Cni cni, String bridge, String tuning) throws Exception {
    host.network(
        "d", "1.1.0", TestHost.DUAL_STACK.formatted(bridge + ", \"mtu\": 1400,"), config(tuning));
    return cni.network("d");
  }

  private static void assertMac(NetNs container, Network network, String mac) throws Exception {
    assertTrue(TestBed.run(container, "ip", "link", "show", "eth0").contains(mac));
    Result result = network.cachedResult(attachment(container).id()).orElseThrow();
    assertEquals(mac, result.interfaces().get(2).mac());
    assertTrue(Probe.ping(container, "10.50.0.1") && Probe.ping(container, "fd50::1"));
    network.check(attachment(container));
  }

  private static long macChanges(UpdateReport report, String mac) {
    return report.steps().stream()
        .flatMap(it -> it.change().stream())
        .filter(it -> it.startsWith("set ") && it.endsWith("eth0 to " + mac))
        .count();
  }

  /** Both plugins consume the capability; the rules of bridge let the frames pass. */
  @Test
  void bridgeAndTuningGetTheSameMac() throws Exception {
    NetNs c = host.container("c");
    String first = "02:aa:00:00:00:03";
    String second = "02:aa:00:00:00:04";
    try (Cni cni = host.openCni()) {
      Network network = bridged(cni, MAC_CAPABILITY + ", \"macspoofchk\": true", MAC_CAPABILITY);
      network.add(attachment(c));
      for (String mac : List.of(first, second)) {
        AttachmentUpdate update =
            AttachmentUpdate.NONE.withCapabilityArg("mac", StringNode.valueOf(mac));
        UpdateReport report = network.update(attachment(c).id(), update);
        assertEquals(1, macChanges(report, mac), report::toString);
        assertMac(c, network, mac);
        assertTrue(state(c).toString().contains("saved mac \"" + mac), () -> mac);
      }
      network.update(attachment(c).id(), AttachmentUpdate.NONE.withoutCapabilityArg("mac"));
      assertMac(c, network, second);
      network.delete(attachment(c));
    }
  }

  /** After an ADD the interface would have the address of the last plugin, too. */
  @Test
  void macOfTuningStaysWhenBridgeGetsAnother() throws Exception {
    NetNs c = host.container("c");
    String mac = "02:aa:00:00:00:03";
    try (Cni cni = host.openCni()) {
      Network network = bridged(cni, MAC_CAPABILITY, "\"mac\": \"" + mac + "\"");
      network.add(attachment(c));
      for (String other : List.of("02:aa:00:00:00:04", "02:aa:00:00:00:05")) {
        network.update(
            attachment(c).id(),
            AttachmentUpdate.NONE.withCapabilityArg("mac", StringNode.valueOf(other)));
        assertMac(c, network, mac);
      }
      network.delete(attachment(c));
    }
  }

  @Test
  void allowListIsHonoured() throws Exception {
    Path file = host.directory().resolve("allowlist.conf");
    Files.writeString(file, "^net.core.somaxconn$\n");
    var plugin = new TuningPlugin(new SysctlAllowList(file));
    String allowed = "\"sysctl\": { \"net.core.somaxconn\": \"477\" }";
    String more = "\"sysctl\": { \"net.core.somaxconn\": \"477\", \"net.ipv4.tcp_ecn\": \"1\" }";
    network(more);
    Result result = network().add(attachment(a));
    CniException e =
        assertThrows(
            CniException.class,
            () ->
                new UpdateTester(
                        plugin,
                        UpdateRequests.of(
                            host, "n", attachment(a), result, config(allowed), config(more)),
                        () -> state(a))
                    .compare());
    assertEquals(7, e.code());
    TestBed.run(a, "sysctl", "-w", "net.ipv4.tcp_ecn=0", "net.core.somaxconn=7");
    var repair =
        new UpdateTester(
            plugin,
            UpdateRequests.unchanged(host, "n", attachment(a), result, config(more)),
            () -> state(a));
    assertTrue(repair.check().orElseThrow().contains("not allowed on this host"));
    assertThrows(AssertionError.class, repair::apply); // no change removes it
    assertEquals("477", TestBed.run(a, "sysctl", "-n", "net.core.somaxconn").strip());
    assertEquals("0", TestBed.run(a, "sysctl", "-n", "net.ipv4.tcp_ecn").strip());
  }

  @Test
  void packetSocketsMayMakeTheInterfacePromiscuous() throws Exception {
    network("\"mtu\": 1400");
    Result result = network().add(attachment(a));
    TestBed.run(a, "ip", "link", "add", "br0", "type", "bridge");
    TestBed.run(a, "ip", "link", "set", "eth0", "master", "br0"); // promiscuous, as by tcpdump
    assertEquals(List.of(), tester(result, "\"mtu\": 1400", "\"mtu\": 1400").compare());
  }

  @Test
  void mtuTooSmallForIpv6IsRefused() throws Exception {
    host.network("d", "1.1.0", TestHost.DUAL_STACK.formatted(""), config("\"mtu\": 1300"));
    try (Cni cni = host.openCni()) {
      var second = cni.network("d");
      var eth1 = Attachment.of(TestBed.nameOf(a), a.path(), "eth1");
      second.add(eth1);
      CniException e =
          assertThrows(
              CniException.class,
              () ->
                  second.update(
                      eth1.id(),
                      AttachmentUpdate.NONE.withKey("tuning", "mtu", IntNode.valueOf(1200))));
      assertTrue(String.valueOf(e.getMessage()).contains("below 1280"), e::getMessage);
      assertTrue(TestBed.run(a, "ip", "-6", "addr", "show", "eth1").contains("fd50::2/64"));
      second.delete(eth1);
    }
  }

  @Test
  void trafficIsNotInterrupted() throws Exception {
    NetNs c = host.container("c");
    String options = "\"mtu\": 1400, \"txQLen\": 500, \"mac\": \"02:aa:00:00:00:01\"";
    host.network("d", "1.1.0", TestHost.DUAL_STACK.formatted(""), config(options));
    try (Cni cni = host.openCni()) {
      Network bridged = cni.network("d");
      bridged.add(attachment(c));
      host.awaitAddresses();
      for (Map.Entry<String, String> change :
          Map.of(
                  "mtu", "1300",
                  "txQLen", "600",
                  "allmulti", "true",
                  "sysctl", "{ \"net.ipv4.conf.IFNAME.arp_filter\": \"1\" }",
                  "mac", "\"02:aa:00:00:00:02\"")
              .entrySet()) {
        try (var probe = TrafficProbe.start(host.netns(), c, "10.50.0.2", "fd50::2")) {
          bridged.update(
              attachment(c).id(),
              AttachmentUpdate.NONE.withKey(
                  "tuning",
                  change.getKey(),
                  Json.parse("{\"of\":" + change.getValue() + "}", "test").get("of")));
          if (change.getKey().equals("mac")) {
            probe.requireNoByteLost();
          } else {
            probe.requireNoLoss();
          }
        }
      }
      bridged.delete(attachment(c));
    }
  }
}
