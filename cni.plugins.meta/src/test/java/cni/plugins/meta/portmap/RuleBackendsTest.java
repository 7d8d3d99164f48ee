// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.PortMapping;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.NftRuleset;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Masquerading, port mappings and firewall rules whose backend is not configured, in mixed use with
 * the reference plugins, on a host that has the nf_tables variant of iptables; and the limits of
 * comments and numbers of rules.
 */
@KernelTest(
    commands = {"nft", "iptables-nft", "ip6tables-nft"},
    reference = true)
class RuleBackendsTest {
  private static final String PORTS =
      """
      [ { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
        { "hostPort": 8081, "containerPort": 81, "protocol": "udp", "hostIP": "192.0.2.1" },
        { "hostPort": 8082, "containerPort": 82, "protocol": "sctp" } ]
      """;

  private final TestHost host;
  private final NetNs a;

  RuleBackendsTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
  }

  private void network(String name, String type, int net, String ipMasq, String portmap)
      throws IOException {
    host.network(
        name,
        "1.1.0",
        """
        { "type": "%s", "bridge": "br%2$d", "isGateway": true, "ipMasq": true, %3$s
          "ipam": { "type": "host-local", "dataDir": "@DATA@",
                    "ranges": [[{ "subnet": "10.%2$d.0.0/24" }], [{ "subnet": "fd%2$d::/64" }]] } }
        """
            .formatted(type, net, ipMasq),
        "{ \"type\": \"portmap\", %s \"capabilities\": { \"portMappings\": true } }"
            .formatted(portmap),
        "{ \"type\": \"firewall\" }");
  }

  private Attachment mapped() throws CniException {
    return attachment(a, "portMappings", PORTS);
  }

  private void assertRulesGone() throws Exception {
    String rest = NftRuleset.list(host.netns());
    assertFalse(
        rest.contains("dnat") || rest.contains("10.50.0.") || rest.contains("fd50::"), rest);
  }

  @ParameterizedTest
  @ValueSource(strings = {"bridge", "ptp"})
  void eachImplementationChecksAndDeletesRulesOfTheOther(String type) throws Exception {
    network("n", type, 50, "", "");
    Cni reference = host.withReference(type, "portmap", "firewall");
    Cni modules = host.openCni();
    modules.network("n").add(mapped());
    reference.network("n").check(mapped());
    reference.network("n").delete(mapped());
    assertRulesGone();
    host.assertNothingLeft("n", a);
    reference.network("n").add(mapped());
    modules.network("n").check(mapped());
    modules.network("n").delete(mapped());
    assertRulesGone();
    host.assertNothingLeft("n", a);
  }

  @Test
  void iptablesListsTheRules() throws Exception {
    network("n", "ptp", 50, "", "");
    host.openCni().network("n").add(mapped());
    for (String command : new String[] {"iptables-nft", "ip6tables-nft"}) {
      String all = TestBed.run(host.netns(), command, "-t", "nat", "-S");
      String address = command.equals("iptables-nft") ? "10.50.0.2" : "[fd50::2]";
      String chain =
          all.lines()
              .filter(line -> line.startsWith("-N CNI-DN-"))
              .findFirst()
              .orElseThrow(() -> new AssertionError(all))
              .substring("-N ".length());
      String rules = TestBed.run(host.netns(), command, "-t", "nat", "-S", chain);
      assertTrue(
          rules.contains("-p tcp -m tcp --dport 8080 -j DNAT --to-destination " + address + ":80"),
          rules);
      assertTrue(rules.contains("-m sctp --dport 8082 -j DNAT"), rules);
      assertTrue(all.contains("-j MASQUERADE"), all);
      String filter = TestBed.run(host.netns(), command, "-S");
      assertTrue(
          filter.contains("-A CNI-FORWARD -s " + address.replaceAll("[\\[\\]]", "")), filter);
      assertFalse((all + filter).contains("incompatible"), all + filter);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"})
  void checkWithoutBackendAcceptsTheRulesOfEither(String backend) throws Exception {
    network(
        "n",
        "bridge",
        50,
        "\"ipMasqBackend\": \"" + backend + "\",",
        "\"backend\": \"" + backend + "\",");
    host.openCni().network("n").add(mapped());
    network("n", "bridge", 50, "", "");
    host.openCni().network("n").check(mapped());
    TestBed.run(host.netns(), "nft", "flush", "ruleset");
    assertThrows(CniException.class, () -> host.openCni().network("n").check(mapped()));
  }

  @ParameterizedTest
  @CsvSource({"nftables,nftables", "iptables,iptables", "nftables,iptables", "iptables,nftables"})
  void longContainerIdDoesNotConflictWithItselfAndIsCollected(String first, String second)
      throws Exception {
    String id = "x".repeat(230);
    network("n", "bridge", 50, "", "\"backend\": \"" + first + "\",");
    network("m", "bridge", 51, "", "\"backend\": \"" + second + "\",");
    Attachment eth0 =
        Attachment.of(id, a.path(), "eth0").withCapabilityArgs(mapped().capabilityArgs());
    Attachment eth1 =
        Attachment.of(id, a.path(), "eth1").withCapabilityArgs(mapped().capabilityArgs());
    Cni cni = host.openCni();
    cni.network("n").add(eth0);
    cni.network("m").add(eth1);
    host.deleteResults();
    cni.network("n").gc(Set.of(new AttachmentId(id, "eth0")));
    String rules = NftRuleset.list(host.netns());
    assertTrue(rules.contains("10.50.0.2") && rules.contains("10.51.0.2"), rules);
    cni.network("n").gc(Set.of());
    rules = NftRuleset.list(host.netns());
    assertFalse(rules.contains("10.50.0.2"), rules);
    assertTrue(rules.contains("10.51.0.2"), rules);
  }

  @Test
  void repeatedAddReplacesTheMappingsOfTheFirst() throws Exception {
    network("n", "bridge", 50, "", "\"backend\": \"iptables\",");
    Cni cni = host.openCni();
    cni.network("n").add(mapped());
    host.deleteResults();
    TestBed.run(a, "ip", "link", "delete", "eth0"); // as after a crash: the rules stay
    network("n", "bridge", 52, "", "\"backend\": \"iptables\",");
    host.deleteReservations("n");
    cni.network("n").add(mapped());
    String dnat =
        TestBed.run(host.netns(), "iptables-nft", "-t", "nat", "-S")
            .lines()
            .filter(line -> line.contains("--to-destination"))
            .collect(Collectors.joining());
    assertTrue(dnat.contains("10.52.0.2") && !dnat.contains("10.50.0.2"), dnat);
  }

  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"})
  @Timeout(300)
  void thousandsOfPortsAreMappedCheckedAndDeleted(String backend) throws Exception {
    network("n", "bridge", 50, "", "\"backend\": \"" + backend + "\",");
    Attachment attachment = publishing(PortMapping.MAX_PER_ATTACHMENT);
    Cni cni = host.openCni();
    cni.network("n").add(attachment);
    cni.network("n").check(attachment);
    cni.network("n").delete(attachment);
    assertRulesGone();
  }

  private Attachment publishing(int ports) throws CniException {
    return attachment(
        a,
        "portMappings",
        IntStream.rangeClosed(1, ports)
            .mapToObj(it -> "{\"hostPort\":%1$d,\"containerPort\":%1$d}".formatted(it))
            .collect(Collectors.joining(",", "[", "]")));
  }

  @Test
  void morePortsThanAnAttachmentCanPublishAreRefused() throws Exception {
    network("n", "bridge", 50, "", "");
    try (Cni cni = host.openCni()) {
      CniException e =
          assertThrows(CniException.class, () -> cni.network("n").add(publishing(65_535)));
      assertTrue(
          e.getMessage().contains("has 65535 entries; an attachment can have at most 4096"),
          e::getMessage);
    }
    host.assertNothingLeft("n", a);
  }
}
