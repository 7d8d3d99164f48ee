// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import static cni.testing.TestHost.HOST_V4;
import static cni.testing.TestHost.HOST_V6;
import static cni.testing.TestHost.OUTSIDE_V4;
import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.UpdateReport;
import cni.testing.KernelTest;
import cni.testing.NftRuleset;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.net.DatagramSocket;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The portmap plugin: connections from all sides, and rules compared with those of the reference
 * plugin.
 */
@KernelTest(
    commands = {"nft", "iptables"},
    reference = true)
class PortMapTest {
  private static final String PORTS =
      """
      [ { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
        { "hostPort": 8080, "containerPort": 80, "protocol": "udp" } ]
      """;

  private final TestHost host;
  private final NetNs a;
  private final NetNs b;
  private final NetNs outside;

  PortMapTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
    outside = host.outside();
  }

  private Cni cni(String... executables) {
    return host.withReference(executables);
  }

  private void network(String options) throws IOException {
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted("\"ipMasq\": true,"),
        "{ \"type\": \"portmap\", %s \"capabilities\": { \"portMappings\": true } }"
            .formatted(options));
  }

  private static Attachment mapped(NetNs container, String ports) throws CniException {
    return attachment(container, "portMappings", ports);
  }

  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"})
  void mappedPortIsReachableFromOutsideHostAndContainer(String backend) throws Exception {
    network("\"backend\": \"" + backend + "\",");
    Cni cni = cni();
    cni.network("n").add(mapped(a, PORTS));
    host.serve(a, 80);
    host.awaitAddresses();
    for (String address : List.of(HOST_V4, HOST_V6)) {
      String client = address.equals(HOST_V4) ? OUTSIDE_V4 : "2001:db8:0:0:0:0:0:2";
      assertEquals(Optional.of(client), Probe.tcp(outside, address, 8080));
      assertEquals(Optional.of(client), Probe.udp(outside, address, 8080));
    }
    for (String address : List.of(HOST_V4, HOST_V6, "127.0.0.1")) {
      assertTrue(Probe.tcp(host.netns(), address, 8080).isPresent(), address);
      assertTrue(Probe.udp(host.netns(), address, 8080).isPresent(), address);
    }
    for (String address : List.of(HOST_V4, HOST_V6)) { // from the container to itself
      assertTrue(Probe.tcp(a, address, 8080).isPresent(), address);
      assertTrue(Probe.udp(a, address, 8080).isPresent(), address);
    }
    assertEquals(Optional.empty(), Probe.tcp(outside, HOST_V4, 80));
    cni.network("n").check(mapped(a, PORTS));
    cni.network("n").delete(mapped(a, PORTS));
    assertEquals(Optional.empty(), Probe.tcp(outside, HOST_V4, 8080));
    cni.network("n").delete(mapped(a, PORTS));
    assertFalse(NftRuleset.list(host.netns()).contains("dnat"));
    host.assertNothingLeft("n", a);
  }

  @Test
  void hostIpRestrictsTheMapping() throws Exception {
    network("");
    TestBed.run(host.netns(), "ip", "addr", "add", "192.0.2.9/24", "dev", "up0");
    String ports =
        """
        [ { "hostPort": 81, "containerPort": 80, "protocol": "tcp", "hostIP": "192.0.2.9" },
          { "hostPort": 82, "containerPort": 80, "protocol": "TCP", "hostIP": "0.0.0.0" },
          { "hostPort": 83, "containerPort": 80, "protocol": "tcp", "hostIP": "2001:db8::1" } ]
        """;
    cni().network("n").add(mapped(a, ports));
    host.serve(a, 80);
    host.awaitAddresses();
    assertTrue(Probe.tcp(outside, "192.0.2.9", 81).isPresent());
    assertFalse(Probe.tcp(outside, HOST_V4, 81).isPresent());
    assertTrue(Probe.tcp(outside, HOST_V4, 82).isPresent());
    assertFalse(Probe.tcp(outside, HOST_V6, 82).isPresent());
    assertTrue(Probe.tcp(outside, HOST_V6, 83).isPresent());
    assertFalse(Probe.tcp(outside, HOST_V4, 83).isPresent());
  }

  @ParameterizedTest
  @CsvSource({"nftables,nftables", "nftables,iptables", "iptables,nftables", "iptables,iptables"})
  void portMappedToAnotherContainerIsRefused(String first, String second) throws Exception {
    network("\"backend\": \"" + first + "\",");
    cni().network("n").add(mapped(a, PORTS));
    network("\"backend\": \"" + second + "\",");
    CniException e =
        assertThrows(CniException.class, () -> cni().network("n").add(mapped(b, PORTS)));
    assertTrue(
        String.valueOf(e.getMessage())
            .contains(
                "host port 8080/tcp is already mapped to container " + attachment(a).containerId()),
        e::getMessage);
    host.serve(a, 80);
    assertTrue(Probe.tcp(outside, HOST_V4, 8080).isPresent());
    assertEquals(List.of("10.50.0.2", "fd50::2"), host.reservations("n"));
    cni().network("n").delete(mapped(a, PORTS));
    cni().network("n").add(mapped(b, PORTS));
  }

  @ParameterizedTest
  @CsvSource({
    "nftables,",
    "nftables,'\"snat\": false,'",
    "nftables,'\"conditionsV4\": [\"ip saddr != 198.51.100.0/24 iifname != dummy\"],"
        + " \"conditionsV6\": [\"tcp\", \"sport\", \"1024-65535\"],'",
    "nftables,'\"conditionsV4\": [\"ip\", \"saddr\", \"{\", \"192.0.2.0/24,\", \"10.0.0.0/8\","
        + " \"}\", \"meta\", \"l4proto\", \"{\", \"tcp, udp\", \"}\"],'",
    "nftables,'\"conditionsV4\": [\"iifname\", \"{\", \"up0,\", \"lo\", \"}\"],'",
    "iptables,",
    "iptables,'\"masqAll\": true, \"markMasqBit\": 4,'",
    "iptables,'\"snat\": false,'",
    "iptables,'\"conditionsV4\": [\"!\", \"-s\", \"198.51.100.0/24\"],'",
  })
  void rulesEqualTheReferencePlugins(String backend, String options) throws Exception {
    network("\"backend\": \"" + backend + "\"," + (options == null ? "" : options));
    String ports =
        """
        [ { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
          { "hostPort": 8081, "containerPort": 81, "protocol": "tcp", "hostIP": "192.0.2.1" },
          { "hostPort": 8082, "containerPort": 82, "protocol": "sctp", "hostIP": "::" },
          { "hostPort": 8080, "containerPort": 80, "protocol": "udp" },
          { "hostPort": 8080, "containerPort": 80, "protocol": "udp" } ]
        """;
    cni("portmap").network("n").add(mapped(a, ports));
    String theirs = NftRuleset.list(host.netns()) + iptables();
    cni().network("n").check(mapped(a, ports));
    cni().network("n").delete(mapped(a, ports)); // deletes what the reference plugin created
    String rest = NftRuleset.list(host.netns());
    assertFalse(rest.contains("dnat to") || rest.contains("10.50.0.2"), rest);
    TestBed.run(host.netns(), "nft", "flush", "ruleset");
    host.deleteReservations("n");

    cni().network("n").add(mapped(a, ports));
    assertEquals(theirs, NftRuleset.list(host.netns()) + iptables());
    cni("portmap").network("n").check(mapped(a, ports));
    cni("portmap").network("n").delete(mapped(a, ports)); // and the reverse
    rest = NftRuleset.list(host.netns());
    assertFalse(rest.contains("dnat to") || rest.contains("10.50.0.2"), rest);
  }

  private String iptables() throws IOException {
    return TestBed.run(host.netns(), "iptables", "-t", "nat", "-S")
        + TestBed.run(host.netns(), "ip6tables", "-t", "nat", "-S");
  }

  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"})
  void checkFailsOnMissingRuleAndGcRemovesStaleRules(String backend) throws Exception {
    network("\"backend\": \"" + backend + "\",");
    cni().network("n").add(mapped(a, PORTS));
    host.deleteResults();
    cni().network("n").gc(Set.of(attachment(a).id()));
    host.serve(a, 80);
    assertTrue(Probe.tcp(outside, HOST_V4, 8080).isPresent());
    cni().network("n").gc(Set.of());
    String rules = NftRuleset.list(host.netns()) + iptables();
    assertFalse(rules.contains(attachment(a).containerId()), rules);
    TestBed.run(a, "ip", "link", "delete", "eth0");
    cni().network("n").add(mapped(a, PORTS));
    TestBed.run(host.netns(), "nft", "flush", "ruleset");
    CniException e =
        assertThrows(CniException.class, () -> cni().network("n").check(mapped(a, PORTS)));
    assertTrue(String.valueOf(e.getMessage()).contains("masq"), e::getMessage);
    network("\"backend\": \"" + backend + "\", \"snat\": false,");
    cni().network("n").delete(mapped(a, PORTS));
    host.assertNothingLeft("n", a);
  }

  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"}) // ignored by the reference's nftables backend
  void masqAllMasqueradesEverySource(String backend) throws Exception {
    network("\"masqAll\": true, \"backend\": \"" + backend + "\",");
    cni().network("n").add(mapped(a, PORTS));
    host.serve(a, 80);
    host.awaitAddresses();
    assertEquals(Optional.of("10.50.0.1"), Probe.tcp(outside, HOST_V4, 8080));
    assertEquals(Optional.of("fd50:0:0:0:0:0:0:1"), Probe.tcp(outside, HOST_V6, 8080));
    assertTrue(Probe.tcp(host.netns(), "127.0.0.1", 8080).isPresent());
    cni().network("n").check(mapped(a, PORTS));
  }

  @Test
  void existingUdpConnectionIsRedirectedToTheContainer() throws Exception {
    network("");
    try (DatagramSocket client =
        outside.<DatagramSocket, IOException>call(() -> new DatagramSocket())) {
      TestBed.run(host.netns(), "nft", "add table ip track");
      TestBed.run(
          host.netns(), "nft", "add chain ip track c { type filter hook input priority 0; }");
      TestBed.run(host.netns(), "nft", "add rule ip track c ct state new counter");
      assertFalse(Probe.udp(client, HOST_V4, 8080).isPresent()); // but creates a conntrack entry
      cni().network("n").add(mapped(a, PORTS));
      host.serve(a, 80);
      assertTrue(Probe.udp(client, HOST_V4, 8080).isPresent());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "[{ \"hostPort\": 0, \"containerPort\": 80 }]||portMappings[0].hostPort",
        "[{ \"hostPort\": 70000, \"containerPort\": 80 }]||portMappings[0].hostPort",
        "[{ \"hostPort\": 80 }]||portMappings[0].containerPort",
        "[{ \"hostPort\": 80, \"containerPort\": 80, \"protocol\": \"icmp\" }]||tcp, udp or sctp",
        "[{ \"hostPort\": 80, \"containerPort\": 80, \"hostIP\": \"x\" }]||hostIP",
        "[{ \"hostPort\": 80, \"containerPort\": 80 }, { \"hostPort\": 80, \"containerPort\": 81"
            + " }]||mapped twice",
        "[]|\"markMasqBit\": 32,|markMasqBit",
        "[]|\"backend\": \"ebtables\",|backend",
        "[]|\"backend\": \"nftables\", \"conditionsV4\": [\"-s\", \"10.0.0.0/8\"],|conditionsV4",
        "[]|\"conditionsV4\": [\"ip length > 10\"],|conditionsV4",
        "[]|\"conditionsV4\": [\"ip saddr fd00::1\"],|conditionsV4",
        "[]|\"conditionsV6\": [\"-m\", \"u32\"],|conditionsV6",
        "[]|\"conditionsV4\": [\"iifname averyveryverylongname0\"],|averyveryverylongname0",
        "[]|\"conditionsV4\": [\"iifname { eth*, lo }\"],|eth*",
        "[]|\"conditionsV4\": [\"ip saddr 10.1\"],|10.1",
        "[]|\"conditionsV4\": [\"-i\"],|-i",
        "[]|\"externalSetMarkChain\": \"X\", \"markMasqBit\": 3,|externalSetMarkChain",
      })
  void invalidConfigIsRefused(String ports, String options, String words) throws Exception {
    network(options == null ? "" : options);
    CniException e =
        assertThrows(CniException.class, () -> cni().network("n").add(mapped(a, ports)));
    assertTrue(String.valueOf(e.getMessage()).contains(words), e::getMessage);
    host.assertNothingLeft("n", a);
  }

  @ParameterizedTest
  @ValueSource(strings = {"blackhole", "prohibit", "unreachable"})
  void aRouteOfTheHostThatDiscardsPacketsIsFound(String type) throws Exception {
    network("");
    cni().network("n").add(mapped(a, PORTS));
    TestBed.run(host.netns(), "ip", "route", "add", type, "10.50.0.2");
    CniException e =
        assertThrows(CniException.class, () -> cni().network("n").check(mapped(a, PORTS)));
    String obstacle =
        "the host's route \"%1$s 10.50.0.2/32\" discards packets to 10.50.0.2: delete it by \"ip route del %1$s 10.50.0.2/32\""
            .formatted(type);
    assertTrue(e.findings().stream().anyMatch(it -> it.text().contains(obstacle)), e::getMessage);
    assertEquals(
        List.of(obstacle),
        cni().network("n").repair(mapped(a, PORTS).id()).unrepaired().stream()
            .map(UpdateReport.Step::finding)
            .toList());
    TestBed.run(host.netns(), "ip", "route", "del", type, "10.50.0.2");
    cni().network("n").check(mapped(a, PORTS));
  }

  @Test
  void externalSetMarkChainIsUsed() throws Exception {
    TestBed.run(host.netns(), "iptables", "-t", "nat", "-N", "THEIRS");
    TestBed.run(host.netns(), "ip6tables", "-t", "nat", "-N", "THEIRS");
    network("\"externalSetMarkChain\": \"THEIRS\",");
    cni().network("n").add(mapped(a, PORTS));
    String rules = iptables();
    assertTrue(
        rules.contains("--dport 8080 -j THEIRS"), rules); // the option selects the iptables backend
    assertFalse(rules.contains("SETMARK"), rules);
    cni("portmap").network("n").check(mapped(a, PORTS));
  }
}
