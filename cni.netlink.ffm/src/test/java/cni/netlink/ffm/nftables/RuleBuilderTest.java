// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.Expression.Compare.EQUAL;
import static cni.netlink.ffm.nftables.Expression.Compare.NOT_EQUAL;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Compares built and parsed rules with those that nft(8) and iptables(8) install. */
@KernelTest(commands = {"nft", "iptables", "ip6tables"})
class RuleBuilderTest {
  private static final InetAddress V4 = InetAddress.ofLiteral("10.1.2.3");
  private static final InetAddress V6 = InetAddress.ofLiteral("fd00::3");

  private TestBed bed;
  private NftablesSocket nftables;

  @BeforeEach
  void open() throws IOException {
    bed = new TestBed();
    nftables = NftablesSocket.open(bed.netns());
  }

  @AfterEach
  void close() throws IOException {
    nftables.close();
    bed.close();
  }

  /**
   * Installs a rule and the one that nft generates, and compares both as we read them and as nft
   * lists them.
   *
   * @param ours the built rule
   * @param words the same rule in the syntax of nft
   */
  private void assertSameAsNft(Table table, Rule ours, String words) throws IOException {
    TestBed.run(bed.netns(), "nft", "add", "table", table.family().toString(), table.name());
    Chain theirChain = table.chain("theirs");
    Chain ourChain = table.chain("ours");
    nftables.commit(
        new Transaction()
            .add(theirChain)
            .add(ourChain)
            .add(table.chain("x"))
            .append(ourChain, ours));
    TestBed.run(bed.netns(), "nft", "add rule " + theirChain + " " + words);
    List<InstalledRule> theirs = nftables.rules(theirChain);
    assertEquals(1, theirs.size());
    assertTrue(theirs.getFirst().rule().isEquivalentTo(ours), words);
    assertEquals(
        theirs.getFirst().rule().expressions(),
        nftables.rules(ourChain).getFirst().rule().expressions(),
        words);
    assertEquals(
        shown(theirChain).replace("theirs", "ours"), shown(ourChain), "as nft lists it: " + words);
    nftables.commit(new Transaction().flush(theirChain).flush(ourChain));
  }

  private String shown(Chain chain) throws IOException {
    return TestBed.run(bed.netns(), "nft", "list chain " + chain);
  }

  @Test
  void filterRulesEqualThoseOfNft() throws Exception {
    var inet = new Table(TableFamily.INET, "t");
    var ip = new Table(TableFamily.IP, "t");
    var ip6 = new Table(TableFamily.IP6, "t");
    var bridge = new Table(TableFamily.BRIDGE, "t");
    for (int prefix : new int[] {0, 4, 8, 20, 24, 31, 32}) {
      assertSameAsNft(
          inet,
          RuleBuilder.forFamily(TableFamily.INET)
              .source(EQUAL, V4, 32)
              .destination(NOT_EQUAL, V4, prefix)
              .append(Verdict.ACCEPT)
              .build(),
          "ip saddr 10.1.2.3 ip daddr != 10.1.2.3/" + prefix + " accept");
    }
    for (int prefix : new int[] {0, 8, 60, 64, 127, 128}) {
      assertSameAsNft(
          inet,
          RuleBuilder.forFamily(TableFamily.INET)
              .source(EQUAL, V6, 128)
              .destination(NOT_EQUAL, V6, prefix)
              .append(Verdict.DROP)
              .build()
              .withComment("a comment"),
          "ip6 saddr fd00::3 ip6 daddr != fd00::3/" + prefix + " drop comment \"a comment\"");
    }
    assertSameAsNft(
        ip,
        RuleBuilder.forFamily(TableFamily.IP)
            .destination(EQUAL, V4, 32)
            .destinationPort(RuleBuilder.TCP, 8080)
            .append(Verdict.jump("x"))
            .build(),
        "ip daddr 10.1.2.3 tcp dport 8080 jump x");
    assertSameAsNft(
        ip6,
        RuleBuilder.forFamily(TableFamily.IP6)
            .destinationPort(RuleBuilder.SCTP, 53)
            .append(Verdict.goTo("x"))
            .build(),
        "sctp dport 53 goto x");
    assertSameAsNft(
        ip,
        RuleBuilder.forFamily(TableFamily.IP)
            .toLocalAddress()
            .connectionState(6)
            .append(Verdict.RETURN)
            .build(),
        "fib daddr type local ct state established,related return");
    assertSameAsNft(
        ip,
        RuleBuilder.forFamily(TableFamily.IP)
            .inputInterface(EQUAL, "eth0")
            .outputInterface(NOT_EQUAL, "veth7")
            .mark(EQUAL, 0x2000, 0x2000)
            .append(new Expression.Counter())
            .append(Verdict.ACCEPT)
            .build(),
        "iifname eth0 oifname != veth7 meta mark & 0x2000 == 0x2000 counter accept");
    assertSameAsNft(
        bridge,
        RuleBuilder.forFamily(TableFamily.BRIDGE)
            .etherSource(new byte[] {2, 0, 0, 0, 0, 1})
            .append(Verdict.RETURN)
            .build(),
        "ether saddr 02:00:00:00:00:01 return");
    assertSameAsNft(
        ip,
        RuleBuilder.forFamily(TableFamily.IP)
            .append(new Expression.Limit(10, 60, 5, false))
            .append(new Expression.PacketLog("p: "))
            .append(new Expression.Reject(0, 13))
            .build(),
        "limit rate 10/minute log prefix \"p: \" reject with icmp type admin-prohibited");
  }

  @Test
  void parsedConditionsEqualThoseOfNft() throws Exception {
    for (String words :
        List.of(
            "iifname \"veth*\" oifname != lo",
            "ip saddr 10.0.0.1-10.0.0.9 ip daddr != 10.1.0.0/20",
            "tcp dport 80-90 tcp sport != 7 counter",
            "meta l4proto udp meta mark & 0x10 != 0x10 ct state new,related")) {
      RuleBuilder rule = RuleBuilder.forFamily(TableFamily.IP);
      NftConditionParser.append(rule, TableFamily.IP, List.of(words));
      assertSameAsNft(
          new Table(TableFamily.IP, "t"), rule.append(Verdict.ACCEPT).build(), words + " accept");
    }
  }

  @Test
  void natRulesEqualThoseOfNft() throws Exception {
    var ip = new Table(TableFamily.IP, "t");
    var ip6 = new Table(TableFamily.IP6, "t");
    nftables.commit(new Transaction().add(ip).add(ip.chain("out"), Hook.SOURCE_NAT));
    nftables.commit(new Transaction().add(ip6).add(ip6.chain("in"), Hook.DESTINATION_NAT));
    assertSameAsNft(
        ip,
        RuleBuilder.forFamily(TableFamily.IP)
            .destinationPort(RuleBuilder.UDP, 53)
            .destinationNat(V4, 5353)
            .build(),
        "udp dport 53 dnat to 10.1.2.3:5353");
    assertSameAsNft(
        ip6,
        RuleBuilder.forFamily(TableFamily.IP6)
            .destinationPort(RuleBuilder.TCP, 80)
            .destinationNat(V6, 8080)
            .build(),
        "tcp dport 80 dnat to [fd00::3]:8080");
    assertSameAsNft(
        ip,
        RuleBuilder.forFamily(TableFamily.IP).source(EQUAL, V4, 32).masquerade().build(),
        "ip saddr 10.1.2.3 masquerade");
    assertSameAsNft(
        ip,
        RuleBuilder.forFamily(TableFamily.IP)
            .destinationPort(RuleBuilder.TCP, 80)
            .append(new Expression.Immediate(1, Bytes.be16(8080)))
            .append(new Expression.Redirect(1))
            .build(),
        "tcp dport 80 redirect to :8080");
  }

  @Test
  void rulesEqualThoseOfIptables() throws Exception {
    Map<String, Rule> v4 =
        Map.of(
            "-d 10.1.2.3/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            IptablesRuleBuilder.forFamily(TableFamily.IP)
                .destination(EQUAL, V4, 32)
                .connectionState(6)
                .verdict(Verdict.ACCEPT),
            "-m addrtype --dst-type LOCAL -j X",
            IptablesRuleBuilder.forFamily(TableFamily.IP)
                .toLocalAddress()
                .verdict(Verdict.jump("X")),
            "-p tcp -m comment --comment c -m multiport --dports 80,443 -j X",
            IptablesRuleBuilder.forFamily(TableFamily.IP)
                .protocol(RuleBuilder.TCP)
                .comment("c")
                .destinationPorts(List.of(80, 443))
                .verdict(Verdict.jump("X")),
            "-s 10.1.0.0/20 -p udp -m udp --dport 53 -j MARK --set-xmark 0x2000/0x2000",
            IptablesRuleBuilder.forFamily(TableFamily.IP)
                .protocol(RuleBuilder.UDP)
                .source(EQUAL, InetAddress.ofLiteral("10.1.0.0"), 20)
                .destinationPort(RuleBuilder.UDP, 53)
                .setMark(0x2000),
            "-p sctp -m sctp --dport 53 -j ACCEPT",
            IptablesRuleBuilder.forFamily(TableFamily.IP)
                .protocol(RuleBuilder.SCTP)
                .destinationPort(RuleBuilder.SCTP, 53)
                .verdict(Verdict.ACCEPT));
    assertSameAsIptables("iptables", "nat", "PREROUTING", v4);
    assertSameAsIptables(
        "iptables",
        "filter",
        "FORWARD",
        Map.of(
            "-i br0 ! -o br0 -j RETURN",
            IptablesRuleBuilder.forFamily(TableFamily.IP)
                .inputInterface(EQUAL, "br0")
                .outputInterface(NOT_EQUAL, "br0")
                .verdict(Verdict.RETURN)));
    assertSameAsIptables(
        "iptables",
        "nat",
        "PREROUTING",
        Map.of(
            "-d 10.1.2.3/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.1.2.3:8080",
            IptablesRuleBuilder.forFamily(TableFamily.IP)
                .protocol(RuleBuilder.TCP)
                .destination(EQUAL, V4, 32)
                .destinationPort(RuleBuilder.TCP, 80)
                .destinationNat(V4, 8080)));
    assertSameAsIptables(
        "iptables",
        "nat",
        "POSTROUTING",
        Map.of(
            "-m mark --mark 0x2000/0x2000 -j MASQUERADE",
            IptablesRuleBuilder.forFamily(TableFamily.IP).mark(0x2000, 0x2000).masquerade()));
    assertSameAsIptables(
        "ip6tables",
        "nat",
        "PREROUTING",
        Map.of(
            "-p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00::3]:8080",
            IptablesRuleBuilder.forFamily(TableFamily.IP6)
                .protocol(RuleBuilder.TCP)
                .destinationPort(RuleBuilder.TCP, 80)
                .destinationNat(V6, 8080)));
    assertSameAsIptables(
        "ip6tables",
        "nat",
        "POSTROUTING",
        Map.of(
            "! -d ff00::/8 -m comment --comment c -j MASQUERADE",
            IptablesRuleBuilder.forFamily(TableFamily.IP6)
                .destination(NOT_EQUAL, InetAddress.ofLiteral("ff00::"), 8)
                .comment("c")
                .masquerade()));
  }

  private void assertSameAsIptables(
      String command, String table, String chain, Map<String, Rule> rules) throws IOException {
    TestBed.tryRun(bed.netns(), command, "-t", table, "-N", "X");
    TableFamily family = command.equals("iptables") ? TableFamily.IP : TableFamily.IP6;
    Chain nat = new Table(family, table).chain(chain);
    for (Map.Entry<String, Rule> entry : rules.entrySet()) {
      List<String> words = new ArrayList<>(List.of(command, "-t", table, "-A", chain));
      words.addAll(List.of(entry.getKey().split(" ", -1)));
      TestBed.run(bed.netns(), words.toArray(String[]::new));
      Rule theirs = nftables.rules(nat).getFirst().rule();
      assertEquals(theirs.expressions(), entry.getValue().expressions(), entry.getKey());
      nftables.commit(
          new Transaction().flush(nat).append(nat, entry.getValue().withOwner("the owner")));
      String shown = TestBed.run(bed.netns(), command, "-t", table, "-S", chain);
      assertTrue(shown.contains("-A " + chain + " " + entry.getKey() + "\n"), shown);
      words.set(3, "-D");
      TestBed.run(bed.netns(), words.toArray(String[]::new));
    }
  }

  @Test
  void portsOfMultiportMatchAreRead() {
    Rule listing =
        IptablesRuleBuilder.forFamily(TableFamily.IP)
            .protocol(RuleBuilder.TCP)
            .comment("several")
            .destinationPorts(List.of(80, 40_000))
            .verdict(Expression.Verdict.ACCEPT);
    Rule other =
        IptablesRuleBuilder.forFamily(TableFamily.IP)
            .destinationPort(RuleBuilder.TCP, 80)
            .verdict(Expression.Verdict.ACCEPT);
    assertEquals(Optional.of(Set.of(80, 40_000)), IptablesRuleBuilder.destinationPortsOf(listing));
    assertEquals(Optional.empty(), IptablesRuleBuilder.destinationPortsOf(other));
  }
}
