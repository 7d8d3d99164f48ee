// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CheckFinding;
import cni.api.CniException;
import cni.api.Differences;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Every difference of a damaged attachment is found by one CHECK, causes before consequences, and a
 * repair removes all of them.
 */
@KernelTest(commands = {"nft", "tc", "bridge"})
class CheckFindingsTest {
  private static final String CHAIN =
      """
      { "type": "portmap", "backend": "nftables", "snat": true,
        "capabilities": { "portMappings": true } },
      { "type": "firewall", "backend": "nftables" },
      { "type": "bandwidth", "ingressRate": 100000000, "ingressBurst": 10000000,
        "egressRate": 100000000, "egressBurst": 10000000 },
      { "type": "tuning", "dataDir": "@DATA@", "sysctl": { "net.core.somaxconn": "500" } }
      """;

  private static final String PORTS =
      "[{ \"hostPort\": 8080, \"containerPort\": 80, \"protocol\": \"tcp\" }]";

  private final TestHost host;
  private final NetNs container;
  private final Attachment attachment;
  private final Cni cni;

  CheckFindingsTest(TestHost host) throws Exception {
    this.host = host;
    container = host.container("a");
    attachment = attachment(container, "portMappings", PORTS);
    host.network(
        "n",
        "1.0.0",
        TestHost.DUAL_STACK.formatted(
            "\"ipMasq\": true, \"ipMasqBackend\": \"nftables\", \"mtu\": 1400,"),
        CHAIN);
    cni = host.openCni();
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

  /** Returns what one CHECK finds, without the arguments of the ADD; empty for nothing. */
  private List<CheckFinding> check() throws CniException {
    try {
      network().check(attachment(container));
      return List.of();
    } catch (CniException e) {
      return e.findings();
    }
  }

  private String port() throws CniException {
    return network().cachedAttachment(attachment.id()).orElseThrow().result().interfaces().stream()
        .filter(it -> it.isOnHost() && it.name().startsWith("veth"))
        .findFirst()
        .orElseThrow()
        .name();
  }

  private void damage(String commands) throws Exception {
    for (String command : commands.split(" && ", -1)) {
      NetNs where = command.startsWith("c:") ? container : host.netns();
      String text = command.substring(2).replace("VETH", port());
      TestBed.run(where, text.split(" ", -1));
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "c:ip link set eth0 down|LINK_STATE ROUTE ROUTE|interface eth0 in the container",
        "h:ip link set br0 down|LINK_STATE ADDRESS|interface br0 in the host is down",
        "h:ip link set VETH down|LINK_STATE|in the host is down, expected up",
        "h:ip link set VETH nomaster|MASTER|is not a port of bridge br0",
        "h:ip link del br0|INTERFACE MASTER ADDRESS ADDRESS|interface br0 is missing",
        "h:ip link set br0 mtu 1300|LINK_SETTING|bridge br0 has MTU 1300, expected at least 1400",
        "h:ip link set VETH mtu 1300|LINK_SETTING|has MTU 1300, expected 1400",
        "c:ip link set eth0 mtu 1300|LINK_SETTING|has MTU 1300, expected 1400",
        "h:ip link set br0 promisc on|LINK_SETTING|bridge br0 has promiscuous mode on",
        "c:ip addr del 10.50.0.2/24 dev eth0|ADDRESS ROUTE|address 10.50.0.2/24 is missing",
        "c:ip addr del fd50::2/64 dev eth0|ADDRESS|address fd50::2/64 is missing",
        "h:ip addr del 10.50.0.1/24 dev br0|ADDRESS|the gateway's address 10.50.0.1/24",
        "h:ip -6 addr del fd50::1/64 dev br0|ADDRESS|the gateway's address fd50::1/64",
        "c:ip route del default|ROUTE|route 0.0.0.0/0 via 10.50.0.1 is missing",
        "c:ip -6 route del default|ROUTE|route ::/0 via fd50::1 is missing",
        "h:sysctl -w net.ipv4.ip_forward=0|SYSCTL|net.ipv4.ip_forward is 0",
        "h:sysctl -w net.ipv4.conf.br0.forwarding=0|SYSCTL|net.ipv4.conf.br0.forwarding is 0",
        "h:sysctl -w net.ipv6.conf.all.forwarding=0|SYSCTL|net.ipv6.conf.all.forwarding is 0",
        "c:sysctl -w net.core.somaxconn=5|SYSCTL|sysctl net/core/somaxconn is",
        "h:nft flush chain ip cni_hostport hostports|RULE"
            + "|missing is \"tcp dport 8080 dnat to 10.50.0.2:80\" in chain ip cni_hostport hostports",
        "h:nft flush chain inet cni_plugins_masquerade masq_checks|RULE"
            + "|\"ip saddr 10.50.0.2 ip daddr != 10.50.0.0/24 masquerade\"",
        "h:nft flush ruleset|RULE RULE|are not masqueraded",
        "h:tc qdisc change dev VETH root tbf rate 10mbit burst 10kb latency 25ms|SHAPING"
            + "|limited to 10 Mbit/s with a burst of 81.92 kbit,"
            + " expected 100 Mbit/s with a burst of 10 Mbit",
        // damage of several plugins, found at once
        "c:sysctl -w net.core.somaxconn=5 && h:nft flush chain ip cni_hostport hostports"
            + " && h:tc qdisc del dev VETH root && c:ip link set eth0 down"
            + "|LINK_STATE ROUTE ROUTE SYSCTL RULE SHAPING|interface eth0 in the container",
      })
  void everyDifferenceIsFoundCausesFirstAndRepaired(String commands, String kinds, String first)
      throws Exception {
    assertEquals(List.of(), check());
    damage(commands);
    List<CheckFinding> found = check();
    assertEquals(
        kinds,
        found.stream().map(it -> it.kind().name()).collect(Collectors.joining(" ")),
        found::toString);
    assertTrue(found.getFirst().text().contains(first), found::toString);
    for (CheckFinding it : found) {
      assertTrue(it.isRepairable(), it::toString);
      it.followsFrom()
          .ifPresent(
              cause -> assertTrue(found.stream().anyMatch(one -> one.text().equals(cause)), cause));
    }
    assertEquals(List.of(), network().repair(attachment.id()).unrepaired());
    assertEquals(List.of(), check());
  }

  @Test
  void aConsequenceNamesItsCause() throws Exception {
    damage("c:ip link set eth0 down");
    List<CheckFinding> found = check();
    String cause = found.getFirst().text();
    assertTrue(found.getFirst().followsFrom().isEmpty());
    for (CheckFinding consequence : found.subList(1, found.size())) {
      assertEquals(Optional.of(cause), consequence.followsFrom());
    }
  }

  @Test
  void theErrorHasAllFindingsInItsMessageAndALineEachInItsDetails() throws Exception {
    damage("c:ip route del default && h:nft flush chain ip cni_hostport hostports");
    Network network = network();
    var e = assertThrows(CniException.class, () -> network.check(attachment(container)));
    assertEquals(999, e.code());
    assertEquals(2, e.findings().size());
    for (CheckFinding it : e.findings()) {
      assertTrue(e.getMessage().contains(it.plugin() + ": " + it.text()), e.getMessage());
    }
    assertEquals(
        e.findings().stream().map(CheckFinding::describe).toList(), e.details().lines().toList());
    assertTrue(e.getMessage().startsWith("network n, CHECK: "), e.getMessage());
  }

  @Test
  void aMissingInterfaceIsReportedOnceAndCannotBeRepaired() throws Exception {
    damage("c:ip link del eth0");
    List<CheckFinding> found = check();
    assertEquals(1, found.size(), found::toString);
    assertEquals(Differences.Kind.INTERFACE, found.getFirst().kind());
    assertFalse(found.getFirst().isRepairable());
  }

  @Test
  void checkContinuesAfterAnExecutable() throws Exception {
    cni.network("n").delete(attachment);
    host.script(
        "mine",
        """
        case $CNI_COMMAND in
          ADD) sed 's/.*"prevResult"[^{]*//; s/}$//' ;;
          CHECK) echo '{"cniVersion":"1.0.0","code":150,"msg":"the lamp is off"}'; exit 1 ;;
        esac
        """);
    host.network(
        "n",
        "1.0.0",
        TestHost.DUAL_STACK.formatted(""),
        "{ \"type\": \"mine\" }",
        "{ \"type\": \"tuning\", \"dataDir\": \"@DATA@\", \"sysctl\":"
            + " { \"net.core.somaxconn\": \"500\" } }");
    network().add(attachment(container));
    damage("c:sysctl -w net.core.somaxconn=5 && c:ip route del default");
    List<CheckFinding> found = check();
    assertEquals(
        List.of("bridge ROUTE", "tuning SYSCTL", "mine OTHER"),
        found.stream().map(it -> it.plugin() + " " + it.kind()).toList());
    assertTrue(found.getLast().text().contains("the lamp is off"), found::toString);
  }

  @Test
  void anMtuThatALaterPluginSetsIsNoDifference() throws Exception {
    network().delete(attachment);
    host.network(
        "n",
        "1.0.0",
        TestHost.DUAL_STACK.formatted("\"mtu\": 1400,"),
        "{ \"type\": \"tuning\", \"dataDir\": \"@DATA@\", \"mtu\": 1300 }");
    network().add(attachment(container));
    assertEquals(List.of(), check());
    damage("c:ip link set eth0 mtu 1350");
    List<CheckFinding> found = check();
    assertEquals(List.of("tuning"), found.stream().map(CheckFinding::plugin).toList());
    assertTrue(network().repair(attachment.id()).unrepaired().isEmpty());
    assertEquals(List.of(), check());
  }

  @Test
  void withoutAConfiguredMtuTheEndsOfAVethMustAgree() throws Exception {
    network().delete(attachment);
    host.network("n", "1.0.0", TestHost.DUAL_STACK.formatted(""));
    network().add(attachment(container));
    damage("c:ip link set eth0 mtu 1450 && h:ip link set VETH mtu 1450");
    assertEquals(List.of(), check());
    damage("h:ip link set VETH mtu 1500");
    assertEquals(
        List.of(Differences.Kind.LINK_SETTING), check().stream().map(CheckFinding::kind).toList());
    assertTrue(network().repair(attachment.id()).unrepaired().isEmpty());
    assertEquals(List.of(), check());
  }
}
