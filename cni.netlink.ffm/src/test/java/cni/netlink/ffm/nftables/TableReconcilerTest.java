// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.NamedSetTest.EGRESS;
import static cni.netlink.ffm.nftables.NamedSetTest.GUARDED;
import static cni.netlink.ffm.nftables.NamedSetTest.INET;
import static cni.netlink.ffm.nftables.NamedSetTest.KNOWN;
import static cni.netlink.ffm.nftables.NamedSetTest.PORTS;
import static cni.netlink.ffm.nftables.NamedSetTest.RANGES;
import static cni.netlink.ffm.nftables.NamedSetTest.inet;
import static cni.netlink.ffm.nftables.NamedSetTest.key;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.TableContent.ChainContent;
import cni.netlink.ffm.nftables.TableContent.NamedLimit;
import cni.netlink.ffm.nftables.TableContent.SetContent;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The content of a table as it is listed, and the changes from one content to another. */
@KernelTest(commands = "nft")
class TableReconcilerTest {
  private static final Hook FORWARD = new Hook("filter", Hook.FORWARD, -5);
  private static final NamedLimit LIMIT = new NamedLimit(1_000_000, 100_000);

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

  private static ChainContent forward(Rule... rules) {
    return new ChainContent(Optional.of(FORWARD), List.of(rules));
  }

  private static ChainContent regular(Rule... rules) {
    return new ChainContent(Optional.empty(), List.of(rules));
  }

  private static Rule egress() {
    return inet()
        .verdictOf(EGRESS, PacketField.INPUT_INTERFACE, PacketField.IPV4_SOURCE)
        .build()
        .withComment("egress");
  }

  private static Rule known() {
    return inet().in(KNOWN, PacketField.INPUT_INTERFACE).counter().append(Verdict.DROP).build();
  }

  private static Rule types(int... types) {
    return inet().icmpv6Type(types).append(Verdict.ACCEPT).build();
  }

  private static Rule limited() {
    return inet().above("l").counter().append(Verdict.DROP).build();
  }

  private static SetContent egressTo(Verdict verdict) {
    return new SetContent(EGRESS, Set.of(SetElement.of(key("br0", "10.0.0.1"), verdict)));
  }

  private static TableContent content(
      Map<String, ChainContent> chains,
      Map<String, SetContent> sets,
      Map<String, NamedLimit> limits) {
    return new TableContent(INET, chains, sets, limits);
  }

  private static TableContent usual() {
    return content(
        Map.of(
            "forward", forward(types(130, 143), egress(), known()),
            "out-1", regular(limited(), inet().append(Verdict.RETURN).build())),
        Map.of(
            "egress4",
            egressTo(Verdict.jump("out-1")),
            "known",
            new SetContent(KNOWN, Set.of(SetElement.of(key("va")), SetElement.of(key("vb"))))),
        Map.of("l", LIMIT));
  }

  private void change(TableContent before, TableContent after) throws IOException {
    nftables.commit(TableReconciler.append(new Transaction(), before, after));
    assertEquals(after, content(after));
  }

  /**
   * Returns the content of the table. While the kernel enlarges the hash table of a set, which it
   * does in the background, a listing may lack elements (nft_rhash_walk in net/netfilter); then it
   * is listed again.
   */
  private TableContent content(TableContent expected) throws IOException {
    TableContent listed = nftables.content(INET);
    for (int i = 0; i < 100 && !listed.equals(expected); i++) {
      LockSupport.parkNanos(200_000_000);
      listed = nftables.content(INET);
    }
    return listed;
  }

  @Test
  void contentIsReadAsWritten() throws Exception {
    assertEquals(TableContent.empty(INET), nftables.content(INET));
    change(TableContent.empty(INET), usual());
    assertTrue(TableReconciler.append(new Transaction(), usual(), usual()).isEmpty());
    change(usual(), TableContent.empty(INET));
    assertFalse(nftables.exists(INET));
  }

  @Test
  void contentThatNftWroteEqualsOurs() throws Exception {
    nftables.commit(NamedSetTest.sets());
    TableContent ours = nftables.content(INET);
    assertEquals(Set.of(), elements(ours, "cut"));
    assertEquals(4, elements(ours, "guarded").size());
    nftables.commit(new Transaction().delete(INET));
    TestBed.run(bed.netns(), "nft", NamedSetTest.SETS);
    assertEquals(ours, nftables.content(INET));
  }

  private static Set<SetElement> elements(TableContent content, String set) {
    return Objects.requireNonNull(content.sets().get(set)).elements();
  }

  @Test
  void anElementGetsAnotherVerdictAndItsOldChainIsDeleted() throws Exception {
    change(TableContent.empty(INET), usual());
    TableContent after =
        content(
            Map.of(
                "forward", forward(types(130, 143), egress(), known()),
                "out-2", regular(inet().append(Verdict.DROP).build())),
            Map.of(
                "egress4", egressTo(Verdict.jump("out-2")), "known", usual().sets().get("known")),
            Map.of());
    change(usual(), after);
    change(after, usual());
  }

  @Test
  void setsLimitsAndHooksThatDifferAreReplaced() throws Exception {
    change(TableContent.empty(INET), usual());
    Map<String, SetContent> sets = new HashMap<>(usual().sets());
    sets.put("known", new SetContent(KNOWN.withCounters(), Set.of(SetElement.of(key("vc")))));
    TableContent other = content(usual().chains(), sets, Map.of("l", new NamedLimit(5000, 500)));
    change(usual(), other);
    Map<String, ChainContent> chains = new HashMap<>(usual().chains());
    chains.put(
        "forward",
        new ChainContent(
            Optional.of(new Hook("filter", Hook.FORWARD, 7)),
            List.of(types(130, 143), egress(), known())));
    TableContent moved = content(chains, sets, usual().limits());
    change(other, moved);
    // The map's elements jump to a chain that is deleted in the same transaction.
    change(moved, content(Map.of("forward", forward()), Map.of(), Map.of()));
  }

  @Test
  void rulesAreReplacedInPlaceAndTheRestKeepsItsCounters() throws Exception {
    change(TableContent.empty(INET), usual());
    TestBed.run(bed.netns(), "nft", "add element inet t known { \"vc\" }");
    long handle = handleOfChain("forward");
    Map<String, ChainContent> chains = new HashMap<>(usual().chains());
    chains.put("forward", forward(egress(), types(131, 132), known().withComment("why")));
    Map<String, SetContent> sets = new HashMap<>(usual().sets());
    Set<SetElement> names = new HashSet<>(elements(usual(), "known"));
    names.add(SetElement.of(key("vc")));
    sets.put("known", new SetContent(KNOWN, names));
    List<InstalledRule> kept = nftables.rules(INET.chain("out-1"));
    change(
        content(usual().chains(), sets, usual().limits()), content(chains, sets, usual().limits()));
    assertEquals(handle, handleOfChain("forward"));
    assertEquals(kept.getFirst().handle(), nftables.rules(INET.chain("out-1")).getFirst().handle());
  }

  private long handleOfChain(String name) throws IOException {
    String listed = TestBed.run(bed.netns(), "nft", "-a", "list chain inet t " + name);
    String rest = listed.substring(listed.indexOf("# handle ", listed.indexOf("chain ")) + 9);
    return Long.parseLong(rest.lines().findFirst().orElseThrow().strip());
  }

  @Test
  void partsAreChangedWithoutTheRest() throws Exception {
    change(TableContent.empty(INET), usual());
    TableContent none = TableContent.empty(INET);
    TableContent part =
        content(
            Map.of("out-9", regular(known())),
            Map.of(
                "egress4",
                new SetContent(
                    EGRESS, Set.of(SetElement.of(key("br0", "10.0.0.9"), Verdict.jump("out-9"))))),
            Map.of());
    TableContent before =
        content(Map.of(), Map.of("egress4", new SetContent(EGRESS, Set.of())), Map.of());
    nftables.commit(TableReconciler.appendPart(new Transaction(), before, part));
    TableContent all = nftables.content(INET);
    assertEquals(3, all.chains().size());
    assertEquals(2, elements(all, "egress4").size());
    nftables.commit(TableReconciler.appendPart(new Transaction(), part, before));
    assertEquals(usual(), nftables.content(INET));
    assertTrue(TableReconciler.appendPart(new Transaction(), none, none).isEmpty());
  }

  @Test
  void rangesOfOneFieldMayTouchAndBeChanged() throws Exception {
    Random random = new Random(7);
    TableContent before = TableContent.empty(INET);
    for (int round = 0; round < 30; round++) {
      Set<SetElement> ranges = new HashSet<>();
      int next = random.nextInt(3) - 1; // also from the lowest and up to the highest address
      while (next < 256) {
        int last = Math.min(255, next + random.nextInt(40));
        if (next >= 0) {
          ranges.add(SetElement.range(address(next), address(last)));
        }
        next = last + 1 + random.nextInt(3); // some touch each other
      }
      TableContent after =
          content(Map.of(), Map.of("guarded", new SetContent(GUARDED, ranges)), Map.of());
      change(before, after);
      before = after;
    }
  }

  /** Returns an address that has the number in its first byte and is the first or last of those. */
  private static Bytes address(int number) {
    byte rest = (byte) (number == 255 ? 255 : 0);
    return Bytes.of((byte) number, rest, rest, rest);
  }

  @Test
  void refusalsAreReportedWithTheirChange() throws Exception {
    change(TableContent.empty(INET), usual());
    assertRefused(
        Errno.EBUSY, "delete set \"inet t known\"", new Transaction().delete(INET, KNOWN));
    assertRefused(
        Errno.EBUSY, "delete limit \"inet t l\"", new Transaction().deleteLimit(INET, "l"));
    assertRefused(
        Errno.ENOENT,
        "delete elements of set \"inet t known\"",
        new Transaction().delete(INET, KNOWN, List.of(SetElement.of(key("vz")))));
    assertRefused(
        Errno.ENOENT,
        "add elements to set \"inet t egress4\"",
        new Transaction()
            .add(
                INET,
                EGRESS,
                List.of(SetElement.of(key("br0", "10.0.0.7"), Verdict.jump("missing")))));
    assertRefused(
        Errno.ENOENT,
        "add elements to set \"inet t guarded\"",
        new Transaction().add(INET, GUARDED, List.of(SetElement.of(key("10.0.0.1")))));
    assertEquals(usual(), nftables.content(INET));
  }

  private void assertRefused(int errno, String change, Transaction transaction) {
    NetlinkException e = assertThrows(NetlinkException.class, () -> nftables.commit(transaction));
    assertTrue(e.is(errno), e::getMessage);
    assertTrue(String.valueOf(e.getMessage()).startsWith(change), e::getMessage);
  }

  @Test
  void singleElementsAreFoundWithTheirVerdict() throws Exception {
    nftables.commit(NamedSetTest.sets());
    SetElement jump = SetElement.of(key("br0", "10.9.0.3"), Verdict.jump("c"));
    assertEquals(Optional.of(PacketCount.ZERO), nftables.element(INET, EGRESS, jump));
    SetElement drop = SetElement.of(key("br0", "10.9.0.3"), Verdict.DROP);
    assertEquals(Optional.empty(), nftables.element(INET, EGRESS, drop));
    SetElement other = SetElement.of(key("br1", "10.9.0.3"), Verdict.DROP);
    assertEquals(Optional.empty(), nftables.element(INET, EGRESS, other));
    assertTrue(nftables.element(INET, KNOWN, SetElement.of(key("va"))).isPresent());
    for (String last : List.of("0x005a", "0x0059")) {
      SetElement range =
          SetElement.range(key("10.9.0.0", "0x06", "0x0050"), key("10.9.0.1", "0x06", last));
      assertEquals(last.equals("0x005a"), nftables.element(INET, RANGES, range).isPresent());
    }
    SetElement network = SetElement.range(key("10.9.0.0"), key("10.9.0.255"));
    assertTrue(nftables.element(INET, GUARDED, network).isPresent());
    var missing = new Table(TableFamily.INET, "missing");
    assertEquals(Optional.empty(), nftables.element(missing, KNOWN, SetElement.of(key("va"))));
  }

  @Test
  void packetsAreCountedByElementAndRule() throws Exception {
    NamedSet addresses = GUARDED.withCounters();
    SetElement local = SetElement.range(key("127.0.0.1"), key("127.0.0.7"));
    SetElement next = SetElement.range(key("127.0.0.8"), key("127.255.255.255"));
    Rule rule = inet().in(addresses, PacketField.IPV4_DESTINATION).counter().build();
    Hook output = new Hook("filter", Hook.OUTPUT, 0);
    change(
        TableContent.empty(INET),
        content(
            Map.of("out", new ChainContent(Optional.of(output), List.of(rule))),
            Map.of("guarded", new SetContent(addresses, Set.of(local, next))),
            Map.of()));
    TestBed.run(bed.netns(), "ip", "link", "set", "lo", "up");
    TestBed.run(bed.netns(), "ping", "-c", "1", "127.0.0.1");
    TableCounters counters = nftables.counters(INET);
    PacketCount counted = new PacketCount(2, 168); // an echo request and its reply
    assertEquals(Map.of("out", List.of(counted)), counters.rules());
    assertEquals(
        Map.of("guarded", Map.of(local, counted, next, PacketCount.ZERO)), counters.elements());
  }

  /** Their responses do not all fit into the socket's buffer. */
  @Test
  void theFirstOfManyErrorsIsReported() throws Exception {
    var transaction = new Transaction();
    for (int i = 0; i < 2000; i++) {
      transaction.append(INET.chain("c" + i), known());
    }
    assertRefused(Errno.ENOENT, "add a rule to chain \"inet t c0\"", transaction);
    nftables.commit(new Transaction().add(INET)); // the socket is still usable
    assertTrue(nftables.exists(INET));
  }

  @Test
  void elementsThatExpireAreNotPartOfTheContent() throws Exception {
    NamedSet cut = NamedSet.of("cut", AnonymousSet.Type.IPV4_ADDRESS).withTimeouts();
    TableContent content =
        content(Map.of(), Map.of("cut", new SetContent(cut, Set.of())), Map.of());
    change(TableContent.empty(INET), content);
    SetElement element = SetElement.of(key("10.0.0.1"));
    nftables.commit(new Transaction().add(INET, cut, List.of(element), Duration.ofMinutes(20)));
    assertEquals(content, nftables.content(INET));
    assertEquals(Set.of(element), nftables.elements(INET, cut).keySet());
    nftables.commit(
        new Transaction()
            .deletePresent(INET, cut, List.of(element, SetElement.of(key("10.0.0.2")))));
    assertEquals(Set.of(), nftables.elements(INET, cut).keySet());
  }

  @Test
  void contentOf50000ElementsIsComparedAndChanged() throws Exception {
    Set<SetElement> many = new HashSet<>();
    for (int i = 0; i < 50_000; i++) {
      Bytes address = Bytes.of(ByteBuffer.allocate(4).putInt(0x0a000000 + i));
      many.add(
          SetElement.of(Bytes.of(concat(address.toArray(), (byte) 6, (byte) (i >> 8), (byte) i))));
    }
    Set<SetElement> fewer = new HashSet<>(many);
    fewer.removeIf(element -> element.hashCode() % 1000 == 0);
    SetElement other = SetElement.of(key("10.200.0.1", "0x06", "0x0050"));
    fewer.add(other);
    TableContent before = content(Map.of(), Map.of("ports", new SetContent(PORTS, many)), Map.of());
    TableContent after = content(Map.of(), Map.of("ports", new SetContent(PORTS, fewer)), Map.of());
    change(TableContent.empty(INET), before);
    Transaction difference = TableReconciler.append(new Transaction(), before, after);
    nftables.commit(difference);
    assertEquals(after, content(after));
  }

  private static byte[] concat(byte[] first, byte... second) {
    return ByteBuffer.allocate(first.length + second.length).put(first).put(second).array();
  }

  @Test
  void setsOfOtherKindsAreReplaced() throws Exception {
    TestBed.run(
        bed.netns(),
        "nft",
        """
        table inet t {
          set known { type ifname; flags dynamic; }
          map ranges { type ipv4_addr : ipv4_addr; elements = { 10.0.0.1 : 10.0.0.2 } }
          set guarded { type ipv4_addr; flags interval; elements = { * } }
          set ports { typeof meta mark; elements = { 7 } }
          limit l { rate 5/second; }
          counter n { }
        }
        """);
    TableContent wanted =
        content(
            Map.of(),
            Map.of(
                "known", new SetContent(KNOWN, Set.of(SetElement.of(key("va")))),
                "ranges",
                    new SetContent(
                        RANGES, Set.of(SetElement.of(key("10.0.0.1", "0x06", "0x0050")))),
                "guarded", new SetContent(GUARDED, Set.of(SetElement.of(key("10.0.0.1")))),
                "ports", new SetContent(PORTS, Set.of())),
            Map.of("l", LIMIT));
    change(nftables.content(INET), wanted);
  }
}
