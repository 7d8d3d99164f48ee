package cni.netlink.ffm.nftables;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.testing.KernelTest;
import cni.testing.TestBed;
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
    String expected = rule.replace(" & 0x00000010 !=", " & " + hostOrder() + " !=");
    assertEquals(List.of(expected), texts(bed, new Table(TableFamily.INET, "t").chain("c")));
  }

  /** Masks are shown as the bytes that the register has. */
  private static String hostOrder() {
    return RuleBuilder.hostOrder(0x10).toString();
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
}
