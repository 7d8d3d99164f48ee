// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.netlink.ffm.nftables.Expression.Compare;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.net.InetAddress;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Rules that nft and iptables have added, as text. */
@KernelTest(commands = {"nft", "iptables"})
class RuleTextTest {
  private static List<String> texts(TestBed bed, Chain chain) throws Exception {
    try (NftablesSocket nftables = NftablesSocket.open(bed.netns())) {
      return nftables.rules(chain).stream().map(RuleText::of).toList();
    }
  }

  /** The text is what was added. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "ip saddr 10.0.0.0/8 tcp dport 80 drop",
        "ip daddr 10.1.2.3 ip saddr != 10.1.2.0/24 accept",
        "ip saddr 10.0.0.0/12 counter drop",
        "ip6 saddr fd00::/64 udp dport 53 accept",
        "ip6 daddr fd00::5 meta l4proto ipv6-icmp drop comment \"no ping\"",
        "iifname \"eth0\" oifname != \"eth1\" drop",
        "iifname \"veth*\" drop",
        "ct state established,related accept",
        "meta mark 0x00000010 return",
        "meta mark & 0x00000010 != 0x00000000 return",
        "meta mark & 0x00000030 == 0x00000010 return",
        "tcp sport 1024 tcp dport != 80 drop",
        "fib daddr type local jump other",
        "tcp sport 1024 reject with tcp reset",
        "log prefix \"no: \" drop",
        "ip saddr . ip daddr @pairs drop",
        "iifname != @links drop",
        "iifname vmap @verdicts"
      })
  void textOfRuleOfNftIsItsSyntax(String rule, TestBed bed) throws Exception {
    TestBed.run(bed.netns(), "nft", "add table inet t");
    TestBed.run(bed.netns(), "nft", "add chain inet t c");
    TestBed.run(bed.netns(), "nft", "add chain inet t other");
    TestBed.run(bed.netns(), "nft", "add set inet t pairs { type ipv4_addr . ipv4_addr; }");
    TestBed.run(bed.netns(), "nft", "add set inet t links { type ifname; }");
    TestBed.run(bed.netns(), "nft", "add map inet t verdicts { type ifname : verdict; }");
    TestBed.run(bed.netns(), "nft", "add rule inet t c " + rule);
    assertEquals(List.of(rule), texts(bed, new Table(TableFamily.INET, "t").chain("c")));
  }

  @ParameterizedTest
  @CsvSource({
    "ip, dnat to 10.0.0.5:80",
    "ip, snat to 10.0.0.5",
    "ip, masquerade",
    "ip, redirect to :8080",
    "ip6, dnat to [fd00::5]:80"
  })
  void textOfTranslation(String family, String rule, TestBed bed) throws Exception {
    String hook = rule.startsWith("dnat") || rule.startsWith("red") ? "prerouting" : "postrouting";
    TestBed.run(bed.netns(), "nft", "add table " + family + " t");
    TestBed.run(
        bed.netns(),
        "nft",
        "add chain " + family + " t c { type nat hook " + hook + " priority 0; }");
    TestBed.run(bed.netns(), "nft", "add rule " + family + " t c tcp dport 8000 " + rule);
    TableFamily table = family.equals("ip") ? TableFamily.IP : TableFamily.IP6;
    assertEquals(List.of("tcp dport 8000 " + rule), texts(bed, new Table(table, "t").chain("c")));
  }

  @Test
  void matchesAndTargetsOfIptablesAreNamed(TestBed bed) throws Exception {
    String[] command = {
      "iptables",
      "-A",
      "FORWARD",
      "-s",
      "10.1.0.0/16",
      "-m",
      "comment",
      "--comment",
      "some text",
      "-m",
      "statistic",
      "--mode",
      "random",
      "--probability",
      "1",
      "-j",
      "REJECT"
    };
    TestBed.run(bed.netns(), command);
    Chain chain = new Table(TableFamily.IP, "filter").chain("FORWARD");
    assertEquals(
        List.of(
            "ip saddr 10.1.0.0/16 /* some text */ xt match \"statistic\" counter xt target \"REJECT\""),
        texts(bed, chain));
  }

  private static String brief(Table table, Rule rule) {
    return RuleText.brief(new InstalledRule(table.chain("c"), 0, rule));
  }

  @Test
  void briefTextHasNoCounterCommentAndImpliedCondition() throws Exception {
    Table inet = new Table(TableFamily.INET, "t");
    InetAddress network = InetAddress.getByName("10.1.0.0");
    Rule rule =
        RuleBuilder.forFamily(TableFamily.INET)
            .protocol(RuleBuilder.TCP)
            .source(Compare.NOT_EQUAL, network, 24)
            .destinationPort(RuleBuilder.TCP, 80)
            .counter()
            .append(Expression.Verdict.DROP)
            .build()
            .withComment("some text");
    String brief = "ip saddr != 10.1.0.0/24 tcp dport 80 ";
    assertEquals(brief + "drop", brief(inet, rule));
    assertEquals(
        brief + "counter drop comment \"some text\"",
        RuleText.of(new InstalledRule(inet.chain("c"), 7, rule)));
    Rule bridged =
        RuleBuilder.forFamily(TableFamily.BRIDGE)
            .source(Compare.EQUAL, network, 16)
            .append(Expression.Verdict.ACCEPT)
            .build();
    assertEquals("ip saddr 10.1.0.0/16 accept", brief(new Table(TableFamily.BRIDGE, "t"), bridged));
  }

  @Test
  void briefTextHasElementsOfAnonymousSet() {
    Rule rule =
        RuleBuilder.forFamily(TableFamily.BRIDGE)
            .icmpv6Type(136, 135)
            .append(Expression.Verdict.DROP)
            .build();
    assertEquals(
        "meta l4proto ipv6-icmp icmp type { 135, 136 } drop",
        brief(new Table(TableFamily.BRIDGE, "t"), rule).replaceFirst("^ether type \\w+ ", ""));
  }

  /** What iptables rules of this library do is written as nft would. */
  @Test
  void textOfRulesOfIptables() throws Exception {
    Table table = new Table(TableFamily.IP, "nat");
    Rule dispatch =
        IptablesRuleBuilder.forFamily(TableFamily.IP)
            .protocol(RuleBuilder.UDP)
            .comment("dnat name")
            .destinationPorts(List.of(8080, 53))
            .toLocalAddress()
            .verdict(Expression.Verdict.jump("other"));
    assertEquals("udp dport { 53, 8080 } fib daddr type local jump other", brief(table, dispatch));
    InetAddress target = InetAddress.getByName("10.1.0.2");
    Rule dnat =
        IptablesRuleBuilder.forFamily(TableFamily.IP)
            .destinationPort(RuleBuilder.TCP, 8080)
            .destinationNat(target, 80);
    assertEquals("tcp dport 8080 dnat to 10.1.0.2:80", brief(table, dnat));
    Rule dnat6 =
        IptablesRuleBuilder.forFamily(TableFamily.IP6)
            .destinationPort(RuleBuilder.TCP, 8080)
            .destinationNat(InetAddress.getByName("fd00::2"), 80);
    assertEquals(
        "tcp dport 8080 dnat to [fd00::2]:80", brief(new Table(TableFamily.IP6, "nat"), dnat6));
    assertEquals(
        "meta mark set mark or 0x00002000",
        brief(table, IptablesRuleBuilder.forFamily(TableFamily.IP).setMark(0x2000)));
    assertEquals(
        "masquerade", brief(table, IptablesRuleBuilder.forFamily(TableFamily.IP).masquerade()));
  }
}
