// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.AttachmentUpdate;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.runtime.UpdateReport;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.TrafficProbe;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/**
 * Updates and repairs of an attachment of five plugins, with traffic from outside to a published
 * port of the container.
 */
@KernelTest(
    commands = {"nft", "tc", "ping"},
    reference = true)
class UpdateChainTest {
  private static final String CHAIN =
      """
      { "type": "portmap", "backend": "nftables", "snat": true,
        "capabilities": { "portMappings": true } },
      { "type": "firewall", "backend": "iptables" },
      { "type": "bandwidth", "ingressRate": 800000000, "ingressBurst": 80000000,
        "egressRate": 800000000, "egressBurst": 80000000 },
      { "type": "tuning", "dataDir": "@DATA@", "sysctl": { "net.core.somaxconn": "500" } }
      """;

  private static final String PORTS = "[" + port(8080, 80) + "]";

  private final TestHost host;
  private final NetNs container;
  private final NetNs outside;
  private final Attachment attachment;
  private final Cni cni;

  UpdateChainTest(TestHost host) throws IOException, CniException {
    this.host = host;
    container = host.container("a");
    outside = host.outside();
    attachment = attachment(container, "portMappings", PORTS);
    host.network(
        "n",
        "1.0.0",
        TestHost.DUAL_STACK.formatted("\"ipMasq\": true, \"ipMasqBackend\": \"nftables\","),
        CHAIN);
    cni = host.openCni();
  }

  private static String port(int hostPort, int containerPort) {
    return "{ \"hostPort\": %d, \"containerPort\": %d, \"protocol\": \"tcp\" }"
        .formatted(hostPort, containerPort);
  }

  @BeforeEach
  void attach() throws Exception {
    network().add(attachment);
    host.awaitAddresses();
  }

  @AfterEach
  void close() {
    cni.close();
  }

  private Network network() throws CniException {
    return cni.network("n");
  }

  private static JsonNode json(String text) throws CniException {
    return Json.parse("{\"of\":" + text + "}", "test").path("of");
  }

  private static AttachmentUpdate set(String plugin, String key, String value) throws CniException {
    return AttachmentUpdate.NONE.withKey(plugin, key, json(value));
  }

  /** Traffic that no address translation concerns, which ends while its chains are missing. */
  private TrafficProbe directTraffic() throws IOException {
    return TrafficProbe.start(host.netns(), container, "10.50.0.2", "fd50::2");
  }

  private TrafficProbe traffic() throws IOException {
    return TrafficProbe.start(outside, container, 8080, 80, TestHost.HOST_V4, TestHost.HOST_V6);
  }

  /** The update of a case. */
  private static AttachmentUpdate updateOf(String name) throws CniException {
    return switch (name) {
      case "add a port" ->
          AttachmentUpdate.NONE.withCapabilityArg(
              "portMappings", json("[" + port(8080, 80) + "," + port(8081, 81) + "]"));
      case "limits" ->
          set("bandwidth", "ingressRate", "700000000")
              .withKey("bandwidth", "egressBurst", json("70000000"));
      case "only one limit" ->
          AttachmentUpdate.NONE
              .withoutKey("bandwidth", "egressRate")
              .withoutKey("bandwidth", "egressBurst");
      case "mtu" -> set("bridge", "mtu", "1400");
      case "isolation" -> set("bridge", "portIsolation", "true");
      case "no masquerading" -> set("bridge", "ipMasq", "false");
      case "routes" ->
          set(
              "bridge",
              "ipam.routes",
              "[{ \"dst\": \"198.51.100.0/24\" }, { \"dst\": \"2001:db8:7::/64\" }]");
      case "sysctl" -> set("tuning", "sysctl", "{ \"net.ipv4.conf.IFNAME.arp_filter\": \"1\" }");
      case "without a plugin" -> AttachmentUpdate.NONE.withoutPlugin("bandwidth");
      default -> throw new IllegalArgumentException(name);
    };
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "add a port",
        "limits",
        "only one limit",
        "mtu",
        "isolation",
        "no masquerading",
        "routes",
        "sysctl",
        "without a plugin"
      })
  void establishedTrafficSurvivesAnUpdate(String name) throws Exception {
    try (TrafficProbe probe = traffic()) {
      UpdateReport report = network().update(attachment.id(), updateOf(name));
      assertFalse(report.steps().isEmpty());
      assertEquals(List.of(), report.warnings());
      probe.requireNoLoss();
    }
    network().check(attachment(container)); // what is stored, arguments included, is what is there
    assertEquals(List.of(), network().planRepair(attachment.id()).steps());
    network().delete(attachment(container));
    host.assertNothingLeft("n", container);
  }

  @Test
  void theStateAfterAnUpdateIsThatOfAnAddWithTheNewConfiguration() throws Exception {
    AttachmentUpdate update =
        updateOf("limits")
            .withKey("bridge", "mtu", json("1400"))
            .withKey("bridge", "hairpinMode", json("true"))
            .withCapabilityArg("portMappings", json("[" + port(8081, 81) + "]"));
    network().update(attachment.id(), update);
    Attachment updated = network().cachedAttachment(attachment.id()).orElseThrow().attachment();
    List<String> rules = rules();
    Network changed =
        cni.network(network().cachedAttachment(attachment.id()).orElseThrow().config());
    changed.delete(updated);
    changed.add(updated);
    assertEquals(rules, rules());
    assertTrue(TestBed.run(container, "ip", "link", "show", "eth0").contains(" mtu 1400 "));
  }

  /** The rules for the container's port, which do not depend on the names of links. */
  private List<String> rules() throws IOException {
    return TestBed.run(host.netns(), "nft", "list", "ruleset")
        .lines()
        .map(String::strip)
        .filter(line -> line.contains("dport") || line.contains("masquerade"))
        .map(line -> line.replaceAll("10\\.50\\.0\\.\\d+|fd50::\\w+", "ADDRESS"))
        .sorted()
        .toList();
  }

  @Test
  void aModeThatAnotherPluginNeedsStaysWhenItsKeyIsRemoved() throws Exception {
    String port = hostEnd();
    for (String enabled : List.of("true", "false")) {
      network().update(attachment.id(), set("bridge", "hairpinMode", enabled));
      String link = TestBed.run(host.netns(), "ip", "-d", "link", "show", port);
      assertTrue(link.contains("hairpin on"), link); // portmap enables it for local connections
      assertEquals(List.of(), network().planRepair(attachment.id()).steps());
    }
  }

  @Test
  void aPortThatIsNoLongerPublishedIsCut() throws Exception {
    try (TrafficProbe probe = traffic()) {
      network()
          .update(
              attachment.id(),
              AttachmentUpdate.NONE.withCapabilityArg(
                  "portMappings", json("[" + port(9090, 90) + "]")));
      probe.requireCut();
    }
  }

  /** The damage of a case. */
  private void damage(String name) throws IOException {
    switch (name) {
      case "ruleset" -> run("nft", "flush", "ruleset");
      case "qdisc" -> run("tc", "qdisc", "del", "dev", hostEnd(), "root");
      case "redirect" -> run("tc", "qdisc", "del", "dev", hostEnd(), "ingress");
      case "bridge addresses" -> run("ip", "address", "flush", "dev", "br0");
      case "bridge down" -> run("ip", "link", "set", "br0", "down");
      case "bridge deleted" -> run("ip", "link", "delete", "br0");
      case "bridge made again" -> {
        run("ip", "link", "delete", "br0");
        run("ip", "link", "add", "br0", "type", "bridge");
      }
      case "port" -> run("ip", "link", "set", hostEnd(), "nomaster");
      case "routes" -> {
        TestBed.run(container, "ip", "route", "del", "default");
        TestBed.run(container, "ip", "-6", "route", "del", "default");
      }
      case "container addresses" -> TestBed.run(container, "ip", "address", "flush", "dev", "eth0");
      case "container link down" -> TestBed.run(container, "ip", "link", "set", "eth0", "down");
      case "sysctl" -> TestBed.run(container, "sysctl", "-qw", "net.core.somaxconn=100");
      default -> throw new IllegalArgumentException(name);
    }
  }

  private void run(String... command) throws IOException {
    TestBed.run(host.netns(), command);
  }

  private String hostEnd() throws IOException {
    List<String> veths = TestBed.linkNames(host.netns(), "veth");
    return veths.stream().filter(it -> !it.equals("up0")).findFirst().orElseThrow();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "ruleset",
        "qdisc",
        "redirect",
        "bridge addresses",
        "bridge down",
        "bridge deleted",
        "bridge made again",
        "port",
        "routes",
        "container addresses",
        "container link down",
        "sysctl"
      })
  void damageIsRepaired(String name) throws Exception {
    try (TrafficProbe probe = name.equals("ruleset") ? directTraffic() : traffic()) {
      damage(name);
      assertThrows(CniException.class, () -> network().check(attachment(container)));
      UpdateReport report = network().repair(attachment.id());
      assertEquals(List.of(), report.unrepaired());
      assertFalse(report.steps().isEmpty());
      network().check(attachment(container));
      assertEquals(List.of(), network().repair(attachment.id()).steps());
      if (!name.contains("bridge") && !name.contains("container") && !name.equals("port")) {
        probe.requireNoLoss(); // the damage itself does not touch what is established
      }
    }
    host.awaitAddresses();
    traffic().close(); // new connections to the published port, IPv4 and IPv6
    network().delete(attachment(container));
    host.assertNothingLeft("n", container);
  }

  @Test
  void theReferenceKnowsTheNewState() throws Exception {
    network().delete(attachment);
    // The reference's DEL also runs iptables, and fails if it has no chain for the attachment.
    host.network("n", "1.0.0", TestHost.DUAL_STACK.formatted("\"ipMasq\": true,"), CHAIN);
    network().add(attachment);
    AttachmentUpdate update =
        updateOf("limits")
            .withKey("bridge", "mtu", json("1400"))
            .withCapabilityArg("portMappings", json("[" + port(8081, 81) + "]"));
    network().update(attachment.id(), update);
    damage("qdisc");
    network().repair(attachment.id());
    var stored = network().cachedAttachment(attachment.id()).orElseThrow();
    String[] types = {"bridge", "host-local", "portmap", "firewall", "bandwidth", "tuning"};
    try (Cni reference = host.withReference(types)) {
      Network changed = reference.network(stored.config());
      changed.check(stored.attachment());
      changed.delete(stored.attachment());
    }
    host.assertNothingLeft("n", container);
    assertFalse(TestBed.run(host.netns(), "nft", "list", "ruleset").contains("dport 8081"));
  }

  @Test
  void anUpdateThatFailsChangesNothing() throws Exception {
    host.script("failing", "[ $CNI_COMMAND = ADD ] && exit 1; exit 0\n");
    AttachmentUpdate update =
        updateOf("limits")
            .withKey("bridge", "mtu", json("1400"))
            .withKey("bridge", "hairpinMode", json("true"))
            .withKey("bridge", "ipMasq", json("false"))
            .withKey("tuning", "sysctl", json("{ \"net.core.somaxconn\": \"300\" }"))
            .withCapabilityArg("portMappings", json("[" + port(8081, 81) + "]"))
            .withPlugin(Json.parse("{ \"type\": \"failing\" }", "test"));
    HostSnapshot before = HostSnapshot.of(host.netns(), container);
    try (TrafficProbe probe = traffic()) {
      assertThrows(CniException.class, () -> network().update(attachment.id(), update));
      probe.requireNoLoss();
    }
    HostSnapshot.of(host.netns(), container).requireEqual(before);
    network().check(attachment(container));
    assertEquals(List.of(), network().planRepair(attachment.id()).steps());
  }

  @Test
  void whatCannotChangeIsRefusedByItsName() throws Exception {
    HostSnapshot before = HostSnapshot.of(host.netns(), container);
    AttachmentUpdate update =
        set("bridge", "bridge", "\"br1\"").withKey("bridge", "mtu", json("1400"));
    CniException e =
        assertThrows(CniException.class, () -> network().update(attachment.id(), update));
    assertEquals(4, e.code());
    assertTrue(e.getMessage().startsWith("bridge of plugin bridge cannot change"), e::getMessage);
    HostSnapshot.of(host.netns(), container).requireEqual(before);
    UpdateReport report = network().update(attachment.id(), update.allowRecreation());
    assertTrue(report.isRecreated());
    assertTrue(TestBed.linkNames(host.netns(), "bridge").contains("br1"));
    network().check(attachment(container));
  }

  @Test
  void aLostInterfaceIsReportedAndNothingElseTouched() throws Exception {
    TestBed.run(container, "ip", "link", "delete", "eth0");
    UpdateReport report = network().planRepair(attachment.id());
    assertFalse(report.unrepaired().isEmpty());
  }

  @Test
  void anAttachmentThatIsAddedAgainKeepsItsAddressesAndPorts() throws Exception {
    CachedAttachment before = cni.attachments().getFirst();
    TestBed.run(container, "ip", "link", "delete", "eth0");
    AttachmentUpdate recreation = AttachmentUpdate.NONE.allowRecreation();
    assertTrue(network().update(attachment.id(), recreation).isRecreated());
    CachedAttachment after = cni.attachments().getFirst();
    assertEquals(before.result().ips(), after.result().ips());
    assertEquals(before.configText(), after.configText());
    assertEquals(before.attachment(), after.attachment());
    network().check(attachment);
    traffic().close();
  }

  @Test
  void aFlushedRulesetIsRepairedByItself() throws Exception {
    try (Cni repairing = host.builder().repair().build();
        TrafficProbe probe = directTraffic()) {
      assertTrue(repairing.attachments().size() == 1);
      damage("ruleset");
      awaitRepair(Duration.ofMinutes(1));
      probe.requireNoLoss();
    }
    traffic().close();
  }

  private void awaitRepair(Duration limit) throws Exception {
    long end = System.nanoTime() + limit.toNanos();
    while (!network().planRepair(attachment.id()).steps().isEmpty()) {
      assertTrue(System.nanoTime() - end < 0, "not repaired in " + limit);
      Thread.sleep(20);
    }
  }
}
