// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.firewall;

import static cni.testing.TestHost.OUTSIDE_V4;
import static cni.testing.TestHost.OUTSIDE_V6;
import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.NftRuleset;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The firewall plugin on hosts whose iptables or nf_tables rules drop forwarded packets. */
@KernelTest(
    commands = {"nft", "iptables"},
    reference = true)
class FirewallTest {
  private final TestHost host;
  private final NetNs a;
  private final NetNs b;
  private final NetNs outside;

  FirewallTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
    outside = host.outside();
    // With a route to the containers only the firewall prevents connections to them.
    TestBed.run(outside, "ip", "route", "add", "10.50.0.0/16", "via", TestHost.HOST_V4);
    TestBed.run(outside, "ip", "route", "add", "fd50::/16", "via", TestHost.HOST_V6);
  }

  private Cni cni(String... executables) {
    return host.withReference(executables);
  }

  private void network(String name, String bridge, int number, String options) throws IOException {
    host.network(
        name,
        "1.1.0",
        TestHost.DUAL_STACK
            .formatted("\"mtu\": 1500,")
            .replace("br0", bridge)
            .replace("0.50.", "0.%d.".formatted(number))
            .replace("fd50", "fd" + number),
        "{ \"type\": \"firewall\"" + options + " }");
  }

  private void dropForwardedIn(String owner) throws IOException {
    switch (owner) {
      case "iptables" -> {
        TestBed.run(host.netns(), "iptables", "-P", "FORWARD", "DROP");
        TestBed.run(host.netns(), "ip6tables", "-P", "FORWARD", "DROP");
      }
      case "nftables" ->
          TestBed.run(
              host.netns(),
              "nft",
              "table inet guard { chain passing { type filter hook forward priority 10; policy drop;"
                  + " tcp dport 22 counter accept; }; }");
      case "a last rule" ->
          TestBed.run(
              host.netns(),
              "nft",
              "table ip guard { chain passing { type filter hook forward priority 0; tcp dport 22 accept;"
                  + " counter reject with icmp type admin-prohibited; }; };"
                  + "table ip6 guard { chain passing { type filter hook forward priority 0; policy drop;"
                  + " }; }");
      default -> throw new IllegalArgumentException(owner);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"iptables", "nftables", "a last rule"})
  void containerTrafficPassesAndUnsolicitedTrafficIsDropped(String owner) throws Exception {
    dropForwardedIn(owner);
    network("n", "br0", 50, "");
    String before = NftRuleset.list(host.netns());
    cni().network("n").add(attachment(a));
    host.awaitAddresses();
    assertTrue(Probe.ping(a, OUTSIDE_V4) && Probe.ping(a, OUTSIDE_V6));
    assertFalse(Probe.ping(outside, "10.50.0.2") || Probe.ping(outside, "fd50::2"));
    cni().network("n").check(attachment(a));
    String with = NftRuleset.list(host.netns());
    cni().network("n").delete(attachment(a));
    cni().network("n").delete(attachment(a));
    String after = NftRuleset.list(host.netns());
    assertFalse(after.contains("10.50.0.2") || after.contains("fd50::2"), after);
    assertTrue(with.contains("10.50.0.2") && with.contains("fd50::2"), with);
    assertTrue(before.lines().allMatch(after::contains), after);

    cni().network("n").add(attachment(a)); // adds no rule twice
    String again = NftRuleset.list(host.netns()).replace("10.50.0.3", "10.50.0.2");
    assertEquals(with, again.replace("fd50::3", "fd50::2"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"iptables", "nftables"})
  void checkFailsOnMissingRuleAndGcRemovesStaleRules(String owner) throws Exception {
    dropForwardedIn(owner);
    network("n", "br0", 50, ", \"backend\": \"" + owner + "\"");
    cni().network("n").add(attachment(a));
    cni().network("n").add(attachment(b));
    host.deleteResults();
    cni().network("n").gc(Set.of(attachment(b).id()));
    String rules = NftRuleset.list(host.netns());
    assertFalse(rules.contains("10.50.0.2") || rules.contains("fd50::2"), rules);
    host.awaitAddresses();
    assertTrue(Probe.ping(b, OUTSIDE_V4) && Probe.ping(b, OUTSIDE_V6));
    TestBed.run(b, "ip", "link", "delete", "eth0");
    host.deleteReservations("n");
    cni().network("n").add(attachment(b));
    String table = owner.equals("iptables") ? "ip filter" : "inet guard";
    TestBed.run(host.netns(), "nft", "flush chain " + table + " CNI-FORWARD");
    CniException e =
        assertThrows(CniException.class, () -> cni().network("n").check(attachment(b)));
    assertTrue(String.valueOf(e.getMessage()).contains("CNI-FORWARD"), e::getMessage);
    cni().network("n").delete(attachment(b));
  }

  @Test
  void reusedAddressKeepsItsRulesAfterGcOfThePreviousOwner() throws Exception {
    dropForwardedIn("iptables");
    network("n", "br0", 50, "");
    cni().network("n").add(attachment(a));
    host.deleteReservations("n");
    host.deleteResults();
    TestBed.run(a, "ip", "link", "delete", "eth0"); // as after a crash: the rules of 10.50.0.2 stay
    cni().network("n").add(attachment(b)); // gets the same address
    cni().network("n").gc(Set.of(attachment(b).id()));
    cni().network("n").check(attachment(b));
    host.awaitAddresses();
    assertTrue(Probe.ping(b, OUTSIDE_V4) && Probe.ping(b, OUTSIDE_V6));
  }

  @Test
  void adminChainIsEvaluatedFirst() throws Exception {
    dropForwardedIn("nftables");
    dropForwardedIn("iptables");
    network("n", "br0", 50, ", \"iptablesAdminChainName\": \"MY-RULES\"");
    cni().network("n").add(attachment(a));
    assertTrue(Probe.ping(a, OUTSIDE_V4));
    TestBed.run(host.netns(), "iptables", "-A", "MY-RULES", "-s", "10.50.0.2", "-j", "DROP");
    assertFalse(Probe.ping(a, OUTSIDE_V4));
    TestBed.run(host.netns(), "iptables", "-F", "MY-RULES");
    TestBed.run(host.netns(), "nft", "add rule inet guard MY-RULES ip saddr 10.50.0.2 drop");
    assertFalse(Probe.ping(a, OUTSIDE_V4));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "open", "same-bridge", "isolated"})
  void rulesEqualTheReferencePlugins(String policy) throws Exception {
    network("n", "br0", 50, ", \"ingressPolicy\": \"" + policy + "\"");
    cni("firewall").network("n").add(attachment(a));
    String theirs = NftRuleset.list(host.netns()) + iptables();
    cni().network("n").check(attachment(a));
    cni().network("n").delete(attachment(a)); // deletes what the reference plugin created
    String rest = NftRuleset.list(host.netns());
    assertFalse(rest.contains("10.50.0.2") || rest.contains("fd50::2"), rest);
    TestBed.run(host.netns(), "nft", "flush", "ruleset");
    host.deleteReservations("n");

    cni().network("n").add(attachment(a));
    assertEquals(theirs, NftRuleset.list(host.netns()) + iptables());
    cni("firewall").network("n").check(attachment(a));
    cni("firewall").network("n").delete(attachment(a)); // and the reverse
    rest = NftRuleset.list(host.netns());
    assertFalse(rest.contains("10.50.0.2") || rest.contains("fd50::2"), rest);
  }

  private String iptables() throws IOException {
    return TestBed.run(host.netns(), "iptables", "-S")
        + TestBed.run(host.netns(), "ip6tables", "-S");
  }

  @ParameterizedTest
  @ValueSource(strings = {"open", "same-bridge", "isolated"})
  void ingressPolicyIsolatesBridges(String policy) throws Exception {
    assertIsolation(policy, "");
  }

  @ParameterizedTest
  @ValueSource(strings = {"open", "same-bridge", "isolated"})
  void ingressPolicyIsolatesBridgesWithNftablesBackend(String policy) throws Exception {
    assertIsolation(policy, ", \"backend\": \"nftables\"");
    assertFalse(TestBed.run(host.netns(), "nft", "list", "tables").contains("filter"));
  }

  private void assertIsolation(String policy, String more) throws Exception {
    String options = ", \"ingressPolicy\": \"" + policy + "\"" + more;
    network("n", "br0", 50, options);
    network("m", "br1", 51, options);
    NetNs c = host.container("c");
    cni().network("n").add(attachment(a));
    cni().network("n").add(attachment(b));
    cni().network("m").add(attachment(c));
    host.awaitAddresses();
    // Without br_netfilter the host's rules do not see packets within a bridge.
    boolean bridged =
        TestBed.tryRun(host.netns(), "sysctl", "-n", "net.bridge.bridge-nf-call-iptables")
            .text()
            .strip()
            .equals("1");
    for (List<String> addresses :
        List.of(List.of("10.50.0.3", "10.51.0.2"), List.of("fd50::3", "fd51::2"))) {
      boolean apart = policy.equals("isolated") && bridged;
      assertEquals(!apart, Probe.ping(a, addresses.getFirst()), addresses.getFirst());
      assertEquals(policy.equals("open"), Probe.ping(a, addresses.getLast()), addresses.getLast());
    }
    assertTrue(Probe.ping(a, OUTSIDE_V4) && Probe.ping(a, OUTSIDE_V6));
    cni().network("n").check(attachment(a));
  }

  @Test
  void dormantTableIsLeftUnchanged() throws Exception {
    TestBed.run(
        host.netns(),
        "nft",
        "table inet dead { flags dormant; chain passing { type filter hook forward priority 0; policy"
            + " drop; }; }");
    network("n", "br0", 50, "");
    cni().network("n").add(attachment(a));
    String table = TestBed.run(host.netns(), "nft", "list", "table", "inet", "dead");
    assertTrue(table.contains("dormant"), table);
    assertFalse(table.contains("CNI"), table);
    assertTrue(Probe.ping(a, OUTSIDE_V4));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"backend\": \"pf\"",
        "\"ingressPolicy\": \"closed\"",
        "\"iptablesAdminChainName\": \"a b\"",
      })
  void invalidConfigIsRefused(String option) throws Exception {
    network("n", "br0", 50, ", " + option);
    CniException e = assertThrows(CniException.class, () -> cni().network("n").add(attachment(a)));
    String key = option.substring(1, option.indexOf('"', 1));
    assertTrue(String.valueOf(e.getMessage()).contains(key), e::getMessage);
    host.assertNothingLeft("n", a);
  }

  @Test
  void statusFailsWhenFirewalldIsNotRunning() throws Exception {
    network("n", "br0", 50, ", \"backend\": \"firewalld\"");
    CniException e = assertThrows(CniException.class, () -> cni().network("n").status());
    assertTrue(String.valueOf(e.getMessage()).contains("firewalld"), e::getMessage);
  }
}
