// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.firewall;

import static cni.testing.TestHost.OUTSIDE_V4;
import static cni.testing.TestHost.OUTSIDE_V6;
import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.meta.UpdateRequests;
import cni.runtime.AttachmentUpdate;
import cni.runtime.Cni;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.TrafficProbe;
import cni.testing.UpdateTester;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Repair and update of firewall rules on hosts whose rules drop forwarded packets. */
@KernelTest(
    commands = {"nft", "iptables"},
    reference = true)
class FirewallUpdateTest {
  private final TestHost host;
  private final NetNs a;
  private final NetNs b;
  private final NetNs outside;

  FirewallUpdateTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
    outside = host.outside();
    TestBed.run(outside, "ip", "route", "add", "10.50.0.0/16", "via", TestHost.HOST_V4);
    TestBed.run(outside, "ip", "route", "add", "fd50::/16", "via", TestHost.HOST_V6);
  }

  private Cni cni(String... executables) {
    return host.withReference(executables);
  }

  private static String config(String options) {
    return "{ \"type\": \"firewall\"%s }".formatted(options);
  }

  private void network(String options) throws IOException {
    host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted(""), config(options));
  }

  private void otherNetwork(String options) throws IOException {
    String bridge =
        TestHost.DUAL_STACK
            .formatted("")
            .replace("br0", "br1")
            .replace("10.50", "10.51")
            .replace("fd50", "fd51");
    host.network("m", "1.1.0", bridge, config(options));
  }

  private void dropForwarded() throws IOException {
    TestBed.run(host.netns(), "iptables", "-P", "FORWARD", "DROP");
    TestBed.run(host.netns(), "ip6tables", "-P", "FORWARD", "DROP");
    TestBed.run(
        host.netns(),
        "nft",
        "table inet guard { chain passing { type filter hook forward priority 10; policy drop;"
            + " tcp dport 22 counter accept; }; }");
  }

  private HostSnapshot state() throws IOException, CniException {
    return HostSnapshot.of(host.netns());
  }

  private UpdateTester tester(Result result, String before, String after) throws CniException {
    return tester(result, before, result, after);
  }

  private UpdateTester tester(Result result, String before, Result newResult, String after)
      throws CniException {
    UpdateRequest current =
        UpdateRequests.unchanged(host, "n", attachment(a), result, config(before));
    UpdateRequest desired =
        UpdateRequests.unchanged(host, "n", attachment(a), newResult, config(after));
    boolean isRepair = before.equals(after) && result.equals(newResult);
    UpdateRequest request =
        isRepair ? current : new UpdateRequest(current.current(), desired.desired());
    return new UpdateTester(new FirewallPlugin(), request, this::state);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "|flush chain ip filter CNI-FORWARD",
        "|flush chain inet guard CNI-FORWARD",
        "|flush chain ip6 filter FORWARD",
        "|delete table ip filter",
        "|flush ruleset",
        ", \"ingressPolicy\": \"same-bridge\"|flush chain ip filter CNI-ISOLATION-STAGE-1",
        ", \"ingressPolicy\": \"isolated\"|flush chain ip6 filter CNI-ISOLATION-STAGE-2",
        ", \"ingressPolicy\": \"isolated\"|flush chain ip filter FORWARD",
        ", \"ingressPolicy\": \"isolated\", \"backend\": \"nftables\"|flush chain inet cni_firewall"
            + " forward",
        ", \"ingressPolicy\": \"isolated\", \"backend\": \"nftables\"|delete table inet"
            + " cni_firewall",
      })
  void damageIsRepairedAndTheRepairCanBeUndone(String options, String damage) throws Exception {
    String config = options == null ? "" : options;
    dropForwarded();
    network(config);
    Result result = cni().network("n").add(attachment(a));
    HostSnapshot whole = state();
    UpdateTester tester = tester(result, config, config);
    assertEquals(List.of(), tester.compare());
    TestBed.run(host.netns(), "nft", damage);
    assertTrue(tester.check().isPresent(), damage);
    tester.requireUndo();
    assertEquals(result, tester.apply());
    if (!damage.contains("ruleset") && !damage.contains("table ip")) { // policies are lost
      state().requireEqual(whole);
    }
    TestBed.run(host.netns(), "nft", damage);
    assertFalse(cni().network("n").repair(attachment(a).id()).steps().isEmpty());
    host.awaitAddresses();
    assertEquals(!config.contains("backend"), Probe.ping(a, OUTSIDE_V4));
    assertEquals(!config.contains("backend"), Probe.ping(a, OUTSIDE_V6));
    if (!config.contains("nftables")) {
      cni("firewall").network("n").check(attachment(a));
    }
  }

  /** The rules of the container would otherwise accept what the policy drops. */
  @Test
  void jumpIsRestoredAfterThatOfTheIsolation() throws Exception {
    String options = ", \"ingressPolicy\": \"same-bridge\"";
    network(options);
    otherNetwork(options);
    cni().network("n").add(attachment(a));
    cni().network("m").add(attachment(b));
    host.awaitAddresses();
    HostSnapshot whole = state();
    String listed = TestBed.run(host.netns(), "nft", "-a", "list chain ip filter FORWARD");
    String jump =
        listed.lines().filter(line -> line.contains("jump CNI-FORWARD")).findFirst().orElseThrow();
    TestBed.run(
        host.netns(),
        "nft",
        "delete rule ip filter FORWARD " + jump.substring(jump.indexOf("handle")));
    assertFalse(cni().network("n").repair(attachment(a).id()).steps().isEmpty());
    state().requireEqual(whole);
    assertFalse(Probe.ping(a, "10.51.0.2"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "|, \"ingressPolicy\": \"same-bridge\"",
        "|, \"ingressPolicy\": \"isolated\"",
        ", \"ingressPolicy\": \"same-bridge\"|, \"ingressPolicy\": \"isolated\"",
        ", \"ingressPolicy\": \"isolated\"|, \"ingressPolicy\": \"same-bridge\"",
        ", \"ingressPolicy\": \"isolated\", \"backend\": \"nftables\"|, \"ingressPolicy\":"
            + " \"same-bridge\", \"backend\": \"nftables\"",
        "|, \"iptablesAdminChainName\": \"MY-RULES\"",
        ", \"backend\": \"nftables\"|, \"backend\": \"iptables\"",
        ", \"backend\": \"iptables\"|",
      })
  void updateLeavesTheRulesOfANewAdd(String before, String after) throws Exception {
    String old = before == null ? "" : before;
    String updated = after == null ? "" : after;
    dropForwarded();
    String empty = TestBed.run(host.netns(), "nft", "list ruleset");
    network(updated);
    cni().network("n").add(attachment(a));
    List<String> expected = rules();
    cni().network("n").delete(attachment(a));
    host.deleteReservations("n");
    TestBed.run(host.netns(), "nft", "flush ruleset; " + empty);

    network(old);
    Result result = cni().network("n").add(attachment(a));
    tester(result, old, updated).requireUndo();
    tester(result, old, updated).apply();
    network(updated);
    cni().network("n").update(attachment(a).id(), AttachmentUpdate.NONE.withNetworkConfig());
    List<String> actual = rules();
    if (updated.contains("\"backend\": \"iptables\"")) { // jumps that all share are left
      assertFalse(actual.removeIf(rule -> rule.contains("guard") && rule.contains("10.50")));
      actual.removeIf(rule -> rule.contains("guard"));
      expected.removeIf(rule -> rule.contains("guard"));
    }
    assertEquals(expected, actual);
    host.awaitAddresses();
    assertEquals(!updated.contains("backend"), Probe.ping(a, OUTSIDE_V4));
    cni().network("n").check(attachment(a));
    if (!updated.contains("nftables")) {
      cni("firewall").network("n").check(attachment(a));
      cni("firewall").network("n").delete(attachment(a));
      String rest = TestBed.run(host.netns(), "nft", "list ruleset");
      assertFalse(
          rest.replaceAll("(?s)table inet guard.*?\n\\}\n", "").contains("10.50.0.2"), rest);
    }
  }

  /** Returns the rules, without counters; chains that stay empty are left out. */
  private List<String> rules() throws Exception {
    return new java.util.ArrayList<>(
        HostSnapshot.of(host.netns()).withoutRandomNames().lines().stream()
            .filter(line -> line.contains("\"rule\""))
            .toList());
  }

  @Test
  void isolationTakesEffectAndEndsWhileTrafficFlows() throws Exception {
    network("");
    otherNetwork(", \"ingressPolicy\": \"same-bridge\"");
    cni().network("n").add(attachment(a));
    cni().network("m").add(attachment(b));
    host.awaitAddresses();
    try (var probe = TrafficProbe.start(outside, a, "10.50.0.2", "fd50::2")) {
      assertTrue(Probe.ping(a, "10.51.0.2") && Probe.ping(a, "fd51::2"));
      network(", \"ingressPolicy\": \"same-bridge\"");
      cni().network("n").update(attachment(a).id(), AttachmentUpdate.NONE.withNetworkConfig());
      assertFalse(Probe.ping(a, "10.51.0.2") || Probe.ping(a, "fd51::2"));
      network("");
      cni().network("n").update(attachment(a).id(), AttachmentUpdate.NONE.withNetworkConfig());
      assertTrue(Probe.ping(a, "10.51.0.2") && Probe.ping(a, "fd51::2"));
      probe.requireNoLoss();
    }
    cni().network("m").check(attachment(b));
  }

  @Test
  void lessStrictPolicyOfABridgeOfTwoNetworksIsRefused() throws Exception {
    String strict = ", \"ingressPolicy\": \"isolated\"";
    network(strict);
    Result result = cni().network("n").add(attachment(a));
    host.network("m", "1.1.0", TestHost.DUAL_STACK.formatted(""), config(strict));
    cni().network("n").add(attachment(b)); // the same network: not in the way
    assertFalse(tester(result, strict, "").compare().toString().contains("share it"));
    NetNs c = host.container("c");
    host.network(
        "m",
        "1.1.0",
        TestHost.DUAL_STACK
            .formatted("")
            .replace("10.50.0.0/24\"", "10.50.0.0/24\", \"rangeStart\": \"10.50.0.100\"")
            .replace("fd50::/64\"", "fd50::/64\", \"rangeStart\": \"fd50::100\""),
        config(strict));
    cni().network("m").add(attachment(c));
    HostSnapshot before = state();
    assertTrue(tester(result, strict, "").compare().toString().contains("share it"));
    state().requireEqual(before);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "firewall"})
  void rulesFollowTheAddressOfTheContainer(String executable) throws Exception {
    dropForwarded();
    String options = ", \"backend\": \"iptables\"";
    network(options);
    Cni adding = executable.isEmpty() ? cni() : cni(executable);
    Result old = adding.network("n").add(attachment(a));
    cni().network("n").add(attachment(b));
    Result moved =
        old.withIps(
            old.ips().stream()
                .map(
                    ip ->
                        ip.address().isV4()
                            ? new Result.IpConfig(
                                Cidr.parse("10.50.0.77/24"), ip.gateway(), ip.interfaceIndex())
                            : ip)
                .toList());
    UpdateTester tester = tester(old, options, moved, options);
    tester.requireUndo();
    tester.apply();
    String rules = TestBed.run(host.netns(), "nft", "list ruleset");
    assertTrue(rules.contains("10.50.0.77") && !rules.contains("10.50.0.2 "), rules);
    assertTrue(rules.contains("10.50.0.3") && rules.contains("fd50::2"), rules);
  }

  @Test
  void newAdminChainIsEvaluatedAndThatOfOthersStays() throws Exception {
    network("");
    cni().network("n").add(attachment(a));
    cni().network("n").add(attachment(b));
    network(", \"iptablesAdminChainName\": \"MY-RULES\"");
    cni().network("n").update(attachment(a).id(), AttachmentUpdate.NONE.withNetworkConfig());
    TestBed.run(host.netns(), "iptables", "-A", "MY-RULES", "-s", "10.50.0.2", "-j", "DROP");
    assertFalse(Probe.ping(a, OUTSIDE_V4));
    assertTrue(Probe.ping(b, OUTSIDE_V4));
    TestBed.run(host.netns(), "iptables", "-A", "CNI-ADMIN", "-s", "10.50.0.3", "-j", "DROP");
    assertFalse(Probe.ping(b, OUTSIDE_V4));
    cni("firewall").network("n").check(attachment(a));
  }
}
