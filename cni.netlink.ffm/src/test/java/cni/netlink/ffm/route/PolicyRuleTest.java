// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.io.IOException;
import java.net.InetAddress;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Rules as ip-rule(8) lists them, and the rules of ip-rule(8) as the library lists them. */
@KernelTest
class PolicyRuleTest {
  private static final InetAddress V4 = InetAddress.ofLiteral("10.1.0.0");
  private static final InetAddress V6 = InetAddress.ofLiteral("fd00:1::");

  private TestBed bed;
  private RouteSocket routing;

  @BeforeEach
  void open() throws IOException {
    bed = new TestBed();
    routing = RouteSocket.open(bed.netns());
  }

  @AfterEach
  void close() throws IOException {
    routing.close();
    bed.close();
  }

  /** Returns the only rule with a priority, as ip(8) lists it. */
  private String listed(String family, int priority) throws IOException {
    List<String> rules =
        TestBed.run(bed.netns(), "ip", family, "rule", "show", "pref", "" + priority)
            .lines()
            .map(line -> line.replace("\t", " ").strip())
            .toList();
    assertEquals(1, rules.size(), rules::toString);
    return rules.getFirst();
  }

  private void assertRoundTrip(String family, PolicyRule rule, String expected) throws IOException {
    routing.execute(rule.addRequest());
    assertEquals(rule.priority() + ": " + expected, listed(family, rule.priority()));
    assertTrue(routing.policyRules(rule.family()).contains(rule));
    NetlinkException again =
        assertThrows(NetlinkException.class, () -> routing.execute(rule.addRequest()));
    assertEquals(Errno.EEXIST, again.errno());
    routing.execute(rule.deleteRequest());
    assertFalse(routing.policyRules(rule.family()).contains(rule));
    NetlinkException gone =
        assertThrows(NetlinkException.class, () -> routing.execute(rule.deleteRequest()));
    assertEquals(Errno.ENOENT, gone.errno());
  }

  private void assertRoundTrip(RuleSelector selector, String expected) throws IOException {
    var rule = PolicyRule.lookup(IpFamily.IPV4, selector, 100).withPriority(500);
    assertRoundTrip("-4", rule, expected + " lookup 100");
    var six = PolicyRule.lookup(IpFamily.IPV6, selector, 1000).withPriority(501);
    assertRoundTrip("-6", six, expected + " lookup 1000");
  }

  @Test
  void eachSelectorIsListedByIp() throws IOException {
    assertRoundTrip(RuleSelector.ANY, "from all");
    assertRoundTrip(RuleSelector.ANY.withMark(0x10), "from all fwmark 0x10");
    assertRoundTrip(RuleSelector.ANY.withMark(0x10, 0xf0), "from all fwmark 0x10/0xf0");
    assertRoundTrip(RuleSelector.ANY.withMark(0, 0xff), "from all fwmark 0/0xff");
    assertRoundTrip(RuleSelector.ANY.arrivingOn("lo"), "from all iif lo");
    assertRoundTrip(RuleSelector.ANY.arrivingOn("eth7"), "from all iif eth7 [detached]");
    assertRoundTrip(RuleSelector.ANY.boundTo("lo"), "from all oif lo");
    assertRoundTrip(RuleSelector.ANY.withProtocol(6), "from all ipproto tcp");
    assertRoundTrip(
        RuleSelector.ANY.withProtocol(17).fromPorts(1000, 2000),
        "from all ipproto udp sport 1000-2000");
    assertRoundTrip(RuleSelector.ANY.toPorts(443, 443), "from all dport 443");
    assertRoundTrip(RuleSelector.ANY.toPorts(40_000, 65_534), "from all dport 40000-65534");
  }

  @Test
  void prefixesAndCombinationsAreListedByIp() throws IOException {
    RuleSelector selector =
        RuleSelector.ANY.from(V4, 16).to(InetAddress.ofLiteral("192.0.2.0"), 24).withMark(1);
    PolicyRule rule = PolicyRule.lookup(IpFamily.IPV4, selector, 254).withPriority(7);
    assertRoundTrip("-4", rule, "from 10.1.0.0/16 to 192.0.2.0/24 fwmark 0x1 lookup main");
    RuleSelector six = RuleSelector.ANY.from(V6, 64).arrivingOn("lo").toPorts(53, 53);
    assertRoundTrip(
        "-6",
        PolicyRule.lookup(IpFamily.IPV6, six, 70_000).withPriority(8),
        "from fd00:1::/64 iif lo dport 53 lookup 70000");
    assertRoundTrip("-4", PolicyRule.fromSource(V4, 5).withPriority(9), "from 10.1.0.0 lookup 5");
  }

  @Test
  void rulesWithConditionsThatAreNotReadArePartial() throws IOException {
    for (String[] words :
        List.of(
            new String[] {"uidrange", "1000-1001"},
            new String[] {"tos", "0x10"},
            new String[] {"l3mdev"})) {
      String[] command = {"ip", "rule", "add", "pref", "77"};
      String[] all = new String[command.length + words.length + (words.length == 1 ? 0 : 2)];
      System.arraycopy(command, 0, all, 0, command.length);
      System.arraycopy(words, 0, all, command.length, words.length);
      if (words.length > 1) {
        all[all.length - 2] = "table";
        all[all.length - 1] = "100";
      }
      TestBed.run(bed.netns(), all);
      PolicyRule rule = find(77);
      assertTrue(rule.selector().isPartial(), String.join(" ", words));
      assertFalse(rule.matchesSourceOnly());
      TestBed.run(bed.netns(), "ip", "rule", "del", "pref", "77");
    }
    TestBed.run(
        bed.netns(), "ip", "rule", "add", "not", "from", "10.1.0.1", "pref", "78", "table", "5");
    assertTrue(find(78).selector().isPartial());
    TestBed.run(bed.netns(), "ip", "rule", "add", "from", "10.1.0.1", "pref", "79", "table", "5");
    assertFalse(find(79).selector().isPartial());
    assertTrue(find(79).matchesSourceOnly());
  }

  private PolicyRule find(int priority) throws IOException {
    return routing.policyRules(IpFamily.IPV4).stream()
        .filter(it -> it.priority() == priority)
        .findFirst()
        .orElseThrow();
  }

  @Test
  void deletionLeavesOtherRules() throws IOException {
    PolicyRule marked =
        PolicyRule.lookup(IpFamily.IPV4, RuleSelector.ANY.withMark(1), 5).withPriority(10);
    PolicyRule other =
        PolicyRule.lookup(IpFamily.IPV4, RuleSelector.ANY.withMark(2), 5).withPriority(10);
    routing.execute(List.of(marked.addRequest(), other.addRequest()));
    routing.execute(other.deleteRequest());
    assertEquals("10: from all fwmark 0x1 lookup 5", listed("-4", 10));
  }

  @Test
  void impossibleRangesAreRefused() {
    assertThrows(IllegalArgumentException.class, () -> RuleSelector.ANY.fromPorts(2, 1));
    assertThrows(IllegalArgumentException.class, () -> RuleSelector.ANY.toPorts(0, 1));
    assertThrows(IllegalArgumentException.class, () -> RuleSelector.ANY.toPorts(1, 65_535));
    assertThrows(IllegalArgumentException.class, () -> RuleSelector.ANY.from(V4, 33));
  }
}
