// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.EchoServer;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is found of firewalls and policies. */
@KernelTest(commands = {"ip", "nft", "iptables"})
class FilterExaminationsTest {
  private static void nft(TestHost host, String rules) throws Exception {
    TestBed.run(host.netns(), "nft", rules);
  }

  private static void dropForwarded(TestHost host) throws Exception {
    nft(host, "add table inet filter");
    nft(
        host,
        "add chain inet filter forward { type filter hook forward priority 0; policy drop; }");
  }

  @Test
  void policyOfAForwardChainIsDrop(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      dropForwarded(host);
      nft(host, "add rule inet filter forward ct state established,related accept");
      nft(host, "add rule inet filter forward iifname eth7 accept");
      nft(host, "add rule inet filter forward ip saddr 10.99.0.0/16 accept");

      Finding found =
          examined.assertFirst(
              FindingKind.FORWARD_DROPPED,
              "nft list chain inet filter forward: policy drop, and no rule accepts 10.50.0.2",
              "plugin firewall");
      assertEquals(List.of("n"), found.networks());
    }
  }

  @Test
  void lastRuleOfAForwardChainRejects(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      nft(host, "add table ip filter");
      nft(host, "add chain ip filter FORWARD { type filter hook forward priority 0; }");
      nft(host, "add rule ip filter FORWARD counter reject");

      examined.assertFirst(
          FindingKind.FORWARD_DROPPED, "its last rule drops the rest", "plugin firewall");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "ip saddr 10.50.0.0/24 accept; add rule inet filter forward ip6 saddr fd50::/64 accept",
        "ip saddr 10.50.0.0/22 accept; add rule inet filter forward ip6 daddr fd50::2 accept",
        "iifname br0 accept",
        "iifname \"br*\" accept",
        "iifname { eth7, br0 } accept",
        "oifname != eth7 accept",
        "accept"
      })
  void chainThatAcceptsTheContainersIsNotFound(String rule, TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      dropForwarded(host);
      nft(host, "add rule inet filter forward " + rule);
      examined.assertHealthy();
    }
  }

  /** Input rules say nothing about forwarded packets. */
  @Test
  void rulesOfOtherHooksDoNotAccept(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      dropForwarded(host);
      nft(host, "add chain inet filter input { type filter hook input priority 0; policy drop; }");
      nft(host, "add rule inet filter input accept");
      examined.assertFirst(FindingKind.FORWARD_DROPPED, "no rule accepts 10.50.0.2", "");
    }
  }

  @Test
  void rulesOfIptablesForAnswersDoNotAccept(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      examined.run("iptables -P FORWARD DROP");
      examined.run("iptables -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
      examined.run("iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT");
      examined.assertFirst(
          FindingKind.FORWARD_DROPPED, "nft list chain ip filter FORWARD: policy drop", "");

      examined.run("iptables -A FORWARD -m conntrack --ctstate NEW -i br0 -j ACCEPT");
      examined.assertHealthy();
    }
  }

  /** The policy of the chain is accept, and accepting rules follow. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "iptables -I FORWARD 1 -j DROP | drop",
        "iptables -I FORWARD 1 -o up0 -j DROP | up0",
        "nft insert rule ip filter FORWARD ip daddr 10.50.0.0/24 drop | 10.50.0.0/24",
        "nft insert rule ip filter FORWARD ip saddr 10.50.0.2 counter reject | 10.50.0.2",
      })
  void ruleDropsBeforeOthersAccept(String command, String evidence, TestHost host)
      throws Exception {
    host.outside();
    try (var examined = ExaminedHost.withAttachment(host)) {
      examined.run("iptables -A FORWARD -s 10.50.0.0/24 -j ACCEPT");
      examined.run("iptables -A FORWARD -d 10.50.0.0/24 -j ACCEPT");
      examined.assertHealthy();

      examined.run(command);
      Finding found =
          examined.assertOnly(
              FindingKind.FORWARD_DROPPED, evidence, "nft delete rule ip filter FORWARD handle ");
      examined.run(found.remedy().split(" {2}#", 2)[0]);
      examined.assertHealthy();
    }
  }

  /** Those that concern some packets only, or come after others that accept. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "ip daddr 10.50.0.2 tcp dport 25 drop",
        "ip saddr 10.50.0.0/24 ip daddr 192.168.0.0/16 drop",
        "ip daddr 10.50.0.0/24 ct state new drop",
        "ct state invalid drop",
        "iifname br0 oifname eth7 drop",
        "accept; add rule ip filter FORWARD drop"
      })
  void ruleThatDropsLittleIsNotFound(String rule, TestHost host) throws Exception {
    host.outside();
    try (var examined = ExaminedHost.withAttachment(host)) {
      nft(host, "add table ip filter");
      nft(host, "add chain ip filter FORWARD { type filter hook forward priority 0; }");
      nft(host, "add rule ip filter FORWARD " + rule);
      nft(host, "add rule ip filter FORWARD ip saddr 10.50.0.2 accept");
      examined.assertHealthy();
    }
  }

  private static ExaminedHost publishing(TestHost host) throws Exception {
    host.network(
        "n",
        "1.0.0",
        TestHost.DUAL_STACK.formatted(""),
        "{ \"type\": \"portmap\", \"capabilities\": { \"portMappings\": true } }",
        "{ \"type\": \"firewall\" }");
    host.outside();
    var examined = new ExaminedHost(host);
    examined.publish("n", host.container("a"), 8080, 80, "tcp");
    examined.add("n", host.container("b"));
    return examined;
  }

  private static boolean answers(TestHost host, String address) throws Exception {
    NetNs outside = namespace(host, "outside");
    return Probe.tcp(outside, address, 8080).isPresent();
  }

  private static NetNs namespace(TestHost host, String name) {
    return host.namespaces().stream()
        .filter(it -> TestBed.nameOf(it).equals(host.prefix() + name))
        .findFirst()
        .orElseThrow();
  }

  /** The command is pasted, and packets are sent before and after it. */
  @Test
  void publishedPortsAreDroppedByThePolicyOfIptables(TestHost host) throws Exception {
    try (var examined = publishing(host);
        var _ = EchoServer.start(namespace(host, "a"), 80)) {
      host.awaitAddresses();
      assertTrue(answers(host, TestHost.HOST_V4) && answers(host, TestHost.HOST_V6));
      examined.assertHealthy();
      for (String[] it : new String[][] {{"ip", "10.50.0.2"}, {"ip6", "fd50::2"}}) {
        String iptables = it[0] + "tables";
        examined.run(iptables + " -P FORWARD DROP");
        String address = it[0].equals("ip") ? TestHost.HOST_V4 : TestHost.HOST_V6;
        assertFalse(answers(host, address));
        Finding found =
            examined.assertOnly(
                FindingKind.PORTS_DROPPED,
                "%s filter FORWARD: policy drop, and no rule accepts connections to %s port 80"
                    .formatted(it[0], it[1]),
                iptables + " -I CNI-ADMIN ");
        examined.run(found.remedy());
        assertTrue(answers(host, address));
        examined.assertHealthy();
      }
    }
  }

  /** {@code cni repair} accepts the container's packets, and the other command those to ports. */
  @Test
  void publishedPortsAreDroppedByAnotherChain(TestHost host) throws Exception {
    try (var examined = publishing(host);
        var _ = EchoServer.start(namespace(host, "a"), 80)) {
      host.awaitAddresses();
      dropForwarded(host);
      assertEquals(
          List.of(FindingKind.FORWARD_DROPPED, FindingKind.PORTS_DROPPED),
          examined.examine().findings().stream().map(Finding::kind).limit(2).toList());
      examined.repairAll();
      Finding found =
          examined.assertOnly(
              FindingKind.PORTS_DROPPED, "10.50.0.2 port 80", "rule inet filter CNI-ADMIN ");
      assertFalse(answers(host, TestHost.HOST_V4) || answers(host, TestHost.HOST_V6));
      examined.run(found.remedy());
      assertTrue(answers(host, TestHost.HOST_V4) && answers(host, TestHost.HOST_V6));
      examined.assertHealthy();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "ct status dnat accept",
        "ct state new,established accept",
        "iifname != br0 accept",
        "oifname br0 tcp dport 80 accept",
        "ip saddr 192.0.2.0/24 accept; add rule inet filter forward meta nfproto ipv6 accept"
      })
  void chainThatAcceptsPublishedPortsIsNotFound(String rule, TestHost host) throws Exception {
    try (var examined = publishing(host)) {
      dropForwarded(host);
      examined.repairAll();
      nft(host, "add rule inet filter forward " + rule);
      examined.assertHealthy();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "ct state established,related accept",
        "iifname br0 accept",
        "oifname br0 tcp dport 81 accept",
        "oifname br0 meta l4proto udp accept",
        "ip saddr 10.50.0.0/24 accept"
      })
  void chainThatDoesNotAcceptPublishedPortsIsFound(String rule, TestHost host) throws Exception {
    try (var examined = publishing(host)) {
      dropForwarded(host);
      examined.repairAll();
      nft(host, "add rule inet filter forward " + rule);
      examined.assertOnly(FindingKind.PORTS_DROPPED, "10.50.0.2 port 80", "ct status dnat accept");
    }
  }

  @Test
  void pluginFirewallAcceptsTheContainers(TestHost host) throws Exception {
    host.network("n", "1.0.0", TestHost.DUAL_STACK.formatted(""), "{ \"type\": \"firewall\" }");
    try (var examined = new ExaminedHost(host)) {
      dropForwarded(host);
      examined.add("n", host.container("a"));
      examined.assertHealthy();
    }
  }

  @Test
  void bridgedPacketsAreDroppedToo(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      dropForwarded(host);
      examined.fakeProc("sys/net/bridge/bridge-nf-call-iptables", "1\n");
      Diagnosis diagnosis = examined.examine();
      assertEquals(
          List.of(FindingKind.FORWARD_DROPPED, FindingKind.BRIDGE_FILTERED),
          diagnosis.findings().stream().map(Finding::kind).toList());
      assertEquals(
          "net.bridge.bridge-nf-call-iptables = 1", diagnosis.findings().getLast().evidence());
    }
  }

  @Test
  void bridgePassesPacketsByPolicies(TestHost host) throws Exception {
    host.network("n", "1.0.0", TestHost.DUAL_STACK.formatted(""), "{ \"type\": \"policy\" }");
    try (var examined = new ExaminedHost(host)) {
      examined.run("ip link add br0 up type bridge");
      examined.fakeProc("sys/net/bridge/bridge-nf-call-iptables", "0\n");
      examined.assertOnly(
          FindingKind.POLICY_BYPASSED, "bridge br0: nf_call_iptables 0", "nf_call_iptables 1");

      examined.fakeProc("sys/net/bridge/bridge-nf-call-iptables", "1\n");
      examined.fakeProc("sys/net/bridge/bridge-nf-call-ip6tables", "1\n");
      examined.assertHealthy();
    }
  }

  @Test
  void bothVariantsOfIptablesAreInUse(TestHost host) throws Exception {
    host.dualStack("n", "");
    try (var examined = new ExaminedHost(host)) {
      examined.fakeProc("thread-self/net/ip_tables_names", "nat\nfilter\n");
      examined.assertHealthy();

      nft(host, "add table ip nat");
      examined.assertOnly(
          FindingKind.IPTABLES_MIXED,
          "iptables-legacy has the tables nat, filter, iptables-nft has [ip nat]",
          "update-alternatives");
    }
  }
}
