// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.AnonymousSet.Type.INTERFACE_NAME;
import static cni.netlink.ffm.nftables.AnonymousSet.Type.IPV4_ADDRESS;
import static cni.netlink.ffm.nftables.AnonymousSet.Type.IPV6_ADDRESS;
import static cni.netlink.ffm.nftables.AnonymousSet.Type.PORT;
import static cni.netlink.ffm.nftables.AnonymousSet.Type.PROTOCOL;
import static cni.netlink.ffm.nftables.Expression.Compare.EQUAL;
import static cni.netlink.ffm.nftables.Expression.Compare.NOT_EQUAL;
import static cni.netlink.ffm.nftables.PacketField.ARP_SENDER;
import static cni.netlink.ffm.nftables.PacketField.DESTINATION_PORT;
import static cni.netlink.ffm.nftables.PacketField.INPUT_INTERFACE;
import static cni.netlink.ffm.nftables.PacketField.IPV4_DESTINATION;
import static cni.netlink.ffm.nftables.PacketField.IPV4_SOURCE;
import static cni.netlink.ffm.nftables.PacketField.IPV6_SOURCE;
import static cni.netlink.ffm.nftables.PacketField.OUTPUT_INTERFACE;
import static cni.netlink.ffm.nftables.PacketField.SOURCE_PORT;
import static cni.netlink.ffm.nftables.PacketField.TRANSPORT_PROTOCOL;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.TableContent.NamedLimit;
import cni.netlink.ffm.route.IpFamily;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Compares named sets, limits, and rules that refer to them with those that nft(8) installs. */
@KernelTest(commands = "nft")
class NamedSetTest {
  static final Table INET = new Table(TableFamily.INET, "t");
  static final NamedSet EGRESS =
      NamedSet.verdictMap("egress4", INTERFACE_NAME, IPV4_ADDRESS).withCounters();
  static final NamedSet PORTS = NamedSet.of("ports", IPV4_ADDRESS, PROTOCOL, PORT).withCounters();
  static final NamedSet RANGES =
      NamedSet.of("ranges", IPV4_ADDRESS, PROTOCOL, PORT).withCounters().withIntervals();
  static final NamedSet CUT =
      NamedSet.of("cut", IPV4_ADDRESS, IPV4_ADDRESS, PROTOCOL, PORT, PORT).withTimeouts();
  static final NamedSet GUARDED = NamedSet.of("guarded", IPV4_ADDRESS).withIntervals();
  static final NamedSet KNOWN = NamedSet.of("known", INTERFACE_NAME);
  static final NamedSet SOURCES6 = NamedSet.of("sources6", INTERFACE_NAME, IPV6_ADDRESS);
  static final NamedSet LOCAL = NamedSet.verdictMap("local", INTERFACE_NAME);

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

  /** Returns a key of interface names, addresses, and numbers in hexadecimal. */
  static Bytes key(String... fields) {
    var key = new ByteArrayOutputStream();
    for (String field : fields) {
      if (field.startsWith("0x")) {
        key.writeBytes(HexFormat.of().parseHex(field.substring(2)));
      } else if (field.contains(".") || field.contains(":")) {
        key.writeBytes(InetAddress.ofLiteral(field).getAddress());
      } else {
        key.writeBytes(RuleBuilder.interfaceName(field).toArray());
      }
    }
    return Bytes.of(key.toByteArray());
  }

  static RuleBuilder inet() {
    return RuleBuilder.forFamily(TableFamily.INET);
  }

  static RuleBuilder bridge() {
    return RuleBuilder.forFamily(TableFamily.BRIDGE);
  }

  /** Adds every kind of set with elements, and a limit. */
  static Transaction sets() {
    return new Transaction()
        .add(INET)
        .add(INET.chain("c"))
        .add(INET, EGRESS)
        .add(INET, PORTS)
        .add(INET, RANGES)
        .add(INET, CUT)
        .add(INET, GUARDED)
        .add(INET, KNOWN)
        .add(INET, SOURCES6)
        .add(INET, LOCAL)
        .add(INET, "l", new NamedLimit(1_024_000, 10_240))
        .add(
            INET,
            EGRESS,
            List.of(
                SetElement.of(key("br0", "10.9.0.3"), Verdict.jump("c")),
                SetElement.of(key("br0", "10.9.0.4"), Verdict.DROP)))
        .add(INET, PORTS, List.of(SetElement.of(key("10.9.0.3", "0x06", "0x0050"))))
        .add(
            INET,
            RANGES,
            List.of(
                SetElement.range(
                    key("10.9.0.0", "0x06", "0x0050"), key("10.9.0.1", "0x06", "0x005a")),
                SetElement.range(
                    key("10.0.0.0", "0x00", "0x0000"), key("10.0.0.3", "0xff", "0xffff")),
                SetElement.range(
                    key("0.0.0.0", "0x11", "0x0035"), key("255.255.255.255", "0x11", "0x0035")),
                SetElement.of(key("10.9.0.7", "0x06", "0x0050"))))
        .add(
            INET,
            CUT,
            List.of(SetElement.of(key("10.9.0.3", "10.9.0.4", "0x06", "0x1000", "0x0050"))),
            Duration.ofMinutes(20))
        .add(
            INET,
            GUARDED,
            List.of(
                SetElement.range(key("255.255.255.0"), key("255.255.255.255")),
                SetElement.range(key("10.9.0.0"), key("10.9.0.255")),
                SetElement.range(key("0.0.0.0"), key("0.0.0.3")),
                SetElement.of(key("10.10.0.5"))))
        .add(INET, KNOWN, List.of(SetElement.of(key("va")), SetElement.of(key("vb"))))
        .add(INET, SOURCES6, List.of(SetElement.of(key("va", "fe80::1"))))
        .add(INET, LOCAL, List.of(SetElement.of(key("va"), Verdict.goTo("c"))));
  }

  static final String SETS =
      """
      table inet t {
        limit l { rate over 1000 kbytes/second burst 10 kbytes; }
        map egress4 { type ifname . ipv4_addr : verdict; counter
          elements = { "br0" . 10.9.0.3 : jump c, "br0" . 10.9.0.4 : drop } }
        set ports { type ipv4_addr . inet_proto . inet_service; counter
          elements = { 10.9.0.3 . tcp . 80 } }
        set ranges { type ipv4_addr . inet_proto . inet_service; flags interval; counter
          elements = { 10.9.0.0/31 . tcp . 80-90, 10.0.0.0/30 . 0-255 . 0-65535,
            0.0.0.0/0 . udp . 53, 10.9.0.7 . tcp . 80 } }
        set cut { type ipv4_addr . ipv4_addr . inet_proto . inet_service . inet_service
          flags timeout
          elements = { 10.9.0.3 . 10.9.0.4 . tcp . 4096 . 80 timeout 20m } }
        set guarded { type ipv4_addr; flags interval
          elements = { 255.255.255.0/24, 10.9.0.0/24, 0.0.0.0/30, 10.10.0.5 } }
        set known { type ifname; elements = { "va", "vb" } }
        set sources6 { type ifname . ipv6_addr; elements = { "va" . fe80::1 } }
        map local { type ifname : verdict; elements = { "va" : goto c } }
        chain c { }
      }
      """;

  private String listed() throws IOException {
    String listed = TestBed.run(bed.netns(), "nft", "-s", "list", "table", INET.toString());
    List<String> sorted =
        new ArrayList<>(List.of(listed.replaceAll("expires \\S+", "").split("[\n,]")));
    sorted.replaceAll(String::strip);
    sorted.sort(String::compareTo); // elements of hash tables have no order
    return String.join("\n", sorted).replace("elements = ", "");
  }

  @Test
  void setsAreListedAsThoseOfNft() throws Exception {
    nftables.commit(sets());
    String ours = listed();
    nftables.commit(new Transaction().delete(INET));
    TestBed.run(bed.netns(), "nft", SETS);
    assertEquals(listed(), ours);
  }

  private void assertSameAsNft(Table table, Rule ours, String words) throws IOException {
    Chain theirChain = table.chain("theirs");
    Chain ourChain = table.chain("ours");
    nftables.commit(
        new Transaction().add(table).add(theirChain).add(ourChain).append(ourChain, ours));
    TestBed.run(bed.netns(), "nft", "add rule " + theirChain + " " + words);
    Rule theirs = nftables.rules(theirChain).getFirst().rule();
    Rule installed = nftables.rules(ourChain).getFirst().rule();
    assertEquals(withoutNames(theirs), withoutNames(installed), words);
    assertTrue(theirs.isEquivalentTo(ours), words);
    assertTrue(ours.isEquivalentTo(installed), words);
    assertEquals(
        TestBed.run(bed.netns(), "nft", "list chain " + theirChain).replace("theirs", "ours"),
        TestBed.run(bed.netns(), "nft", "list chain " + ourChain),
        words);
    nftables.commit(new Transaction().flush(theirChain).flush(ourChain));
  }

  /** The kernel numbers anonymous sets. */
  private static String withoutNames(Rule rule) {
    return rule.toString().replaceAll("__set\\d+", "__set");
  }

  @Test
  void rulesOfAnInetTableEqualThoseOfNft() throws Exception {
    nftables.commit(sets());
    assertSameAsNft(
        INET,
        inet().verdictOf(EGRESS, INPUT_INTERFACE, IPV4_SOURCE).build(),
        "iifname . ip saddr vmap @egress4");
    assertSameAsNft(
        INET,
        inet().verdictOf(EGRESS, OUTPUT_INTERFACE, IPV4_DESTINATION).build(),
        "oifname . ip daddr vmap @egress4");
    assertSameAsNft(INET, inet().verdictOf(LOCAL, INPUT_INTERFACE).build(), "iifname vmap @local");
    assertSameAsNft(
        INET,
        inet()
            .in(PORTS, IPV4_SOURCE, TRANSPORT_PROTOCOL, DESTINATION_PORT)
            .append(Verdict.RETURN)
            .build(),
        "ip saddr . meta l4proto . th dport @ports return");
    assertSameAsNft(
        INET,
        inet()
            .in(
                CUT,
                IPV4_SOURCE,
                IPV4_DESTINATION,
                TRANSPORT_PROTOCOL,
                SOURCE_PORT,
                DESTINATION_PORT)
            .append(Verdict.DROP)
            .build(),
        "ip saddr . ip daddr . meta l4proto . th sport . th dport @cut drop");
    assertSameAsNft(
        INET,
        inet().notIn(SOURCES6, INPUT_INTERFACE, IPV6_SOURCE).counter().append(Verdict.DROP).build(),
        "iifname . ip6 saddr != @sources6 counter drop");
    assertSameAsNft(
        INET,
        inet()
            .in(GUARDED, IPV4_DESTINATION)
            .outputKind(EQUAL, "veth")
            .inputKind(NOT_EQUAL, "veth")
            .notIn(KNOWN, OUTPUT_INTERFACE)
            .append(Verdict.DROP)
            .build(),
        "ip daddr @guarded meta oifkind veth meta iifkind != veth oifname != @known drop");
    assertSameAsNft(INET, inet().above("l").append(Verdict.DROP).build(), "limit name \"l\" drop");
    assertSameAsNft(
        INET,
        inet().connectionState(6).isReply().append(Verdict.ACCEPT).build(),
        "ct state established,related ct direction reply accept");
    assertSameAsNft(
        INET,
        inet().icmpv6Type(143, 130, 131).append(Verdict.ACCEPT).build(),
        "icmpv6 type { 130, 131, 143 } accept");
    assertSameAsNft(
        INET, inet().icmpv6Type(135).append(Verdict.ACCEPT).build(), "icmpv6 type 135 accept");
    assertSameAsNft(
        INET,
        inet().ports(RuleBuilder.UDP, 67, 68).append(Verdict.ACCEPT).build(),
        "udp sport 67 udp dport 68 accept");
    assertSameAsNft(
        INET, inet().networkProtocol(IpFamily.IPV6).counter().build(), "meta nfproto ipv6 counter");
  }

  /** nft also has an expression that swaps the bytes of the protocol, of which there is one. */
  @Test
  void lookupOfConcatenatedRangesIsListedAsThatOfNft() throws Exception {
    nftables.commit(sets());
    String words = "ip saddr . meta l4proto . th dport @ranges return";
    nftables.commit(
        new Transaction()
            .append(
                INET.chain("c"),
                inet()
                    .in(RANGES, IPV4_SOURCE, TRANSPORT_PROTOCOL, DESTINATION_PORT)
                    .append(Verdict.RETURN)
                    .build()));
    String listed = TestBed.run(bed.netns(), "nft", "list chain inet t c");
    assertTrue(listed.contains("\t" + words + "\n"), listed);
  }

  @Test
  void rulesOfABridgeTableEqualThoseOfNft() throws Exception {
    var table = new Table(TableFamily.BRIDGE, "t");
    NamedSet sources = NamedSet.of("sources", INTERFACE_NAME, IPV4_ADDRESS);
    nftables.commit(
        new Transaction()
            .add(table)
            .add(table, GUARDED)
            .add(table, KNOWN)
            .add(table, sources)
            .add(table, SOURCES6));
    assertSameAsNft(
        table,
        bridge()
            .in(KNOWN, INPUT_INTERFACE)
            .etherType(
                NOT_EQUAL, RuleBuilder.ETHER_IPV6, RuleBuilder.ETHER_ARP, RuleBuilder.ETHER_IPV4)
            .counter()
            .append(Verdict.DROP)
            .build(),
        "iifname @known ether type != { ip, ip6, arp } counter drop");
    assertSameAsNft(
        table,
        bridge().notIn(sources, INPUT_INTERFACE, IPV4_SOURCE).append(Verdict.DROP).build(),
        "iifname . ip saddr != @sources drop");
    assertSameAsNft(
        table,
        bridge().notIn(SOURCES6, INPUT_INTERFACE, IPV6_SOURCE).append(Verdict.DROP).build(),
        "iifname . ip6 saddr != @sources6 drop");
    assertSameAsNft(
        table,
        bridge().notIn(sources, INPUT_INTERFACE, ARP_SENDER).append(Verdict.DROP).build(),
        "iifname . arp saddr ip != @sources drop");
    assertSameAsNft(
        table,
        bridge()
            .arpSender(EQUAL, (Inet4Address) InetAddress.ofLiteral("0.0.0.0"))
            .append(Verdict.ACCEPT)
            .build(),
        "arp saddr ip 0.0.0.0 accept");
    assertSameAsNft(
        table,
        bridge()
            .in(GUARDED, IPV4_SOURCE)
            .inputKind(EQUAL, "veth")
            .notIn(KNOWN, INPUT_INTERFACE)
            .append(Verdict.DROP)
            .build(),
        "ip saddr @guarded meta iifkind veth iifname != @known drop");
    assertSameAsNft(
        table,
        bridge().source(EQUAL, InetAddress.ofLiteral("::"), 128).append(Verdict.ACCEPT).build(),
        "ip6 saddr :: accept");
    assertSameAsNft(
        table, bridge().icmpv6Type(135).append(Verdict.ACCEPT).build(), "icmpv6 type 135 accept");
    assertSameAsNft(
        table,
        bridge().ports(RuleBuilder.UDP, 68, 67).append(Verdict.ACCEPT).build(),
        "udp sport 68 udp dport 67 accept");
  }
}
