package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is found of firewalls and policies. */
@KernelTest(commands = {"ip", "nft"})
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
