// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.Expression.Compare.EQUAL;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Listings, transactions and updates of a ruleset. */
@KernelTest(commands = {"nft", "iptables"})
class NftablesSocketTest {
  private static final InetAddress V4 = InetAddress.ofLiteral("10.1.2.3");

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

  private String shown(Chain chain) throws IOException {
    return TestBed.run(bed.netns(), "nft", "list chain " + chain);
  }

  /** Rules of both nft and iptables, which encode the port differently. */
  @Test
  void mightMatchIsNeverFalseForAMatchingRule() throws Exception {
    Chain nft = new Table(TableFamily.IP, "nat").chain("PREROUTING");
    for (String protocol : List.of("tcp", "udp", "sctp")) {
      String match = "-p " + protocol + " --dport 8080";
      String target = "-j DNAT --to-destination 10.1.2.4:80";
      String command = "iptables -t nat -A PREROUTING " + match + " " + target;
      TestBed.run(bed.netns(), command.split(" ", -1));
    }
    String daddr = "ip daddr 10.1.2.3 tcp dport 8080 dnat to 10.1.2.4:80";
    TestBed.run(bed.netns(), "nft", "add rule " + nft + " " + daddr);
    List<InstalledRule> installed = nftables.rules(nft);
    assertEquals(4, installed.size());
    for (InstalledRule rule : installed) {
      assertTrue(DnatMatch.mightMatch(rule.rule(), 8080), rule.toString());
      assertEquals(8080, DnatMatch.of(rule.rule()).orElseThrow().port());
    }
    for (InstalledRule rule : nftables.rules(nft)) {
      assertFalse(DnatMatch.mightMatch(rule.rule(), 8081), rule.toString());
    }
    InstalledRule unread = nftables.rules(nft).getLast(); // its expressions have not been read
    Rule same = RuleBuilder.forFamily(TableFamily.IP).destination(EQUAL, V4, 32).build();
    Rule other =
        RuleBuilder.forFamily(TableFamily.IP)
            .destination(EQUAL, InetAddress.ofLiteral("10.1.2.9"), 32)
            .build();
    assertTrue(unread.rule().mightMatch(Bytes.of(V4.getAddress())));
    assertFalse(other.isEquivalentTo(unread.rule()));
    assertFalse(unread.rule().isEquivalentTo(other));
    assertFalse(unread.rule().isEquivalentTo(same), "it has a DNAT, too");
  }

  @Test
  void failedTransactionChangesNothing() throws Exception {
    var table = new Table(TableFamily.IP, "t");
    Chain chain = table.chain("c");
    nftables.commit(new Transaction().add(table).add(chain));
    Rule accept = RuleBuilder.forFamily(TableFamily.IP).append(Verdict.ACCEPT).build();
    var wrong =
        new Transaction()
            .append(chain, accept)
            .append(
                chain, RuleBuilder.forFamily(TableFamily.IP).append(Verdict.jump("none")).build())
            .delete(table.chain("missing"));
    NetlinkException e = assertThrows(NetlinkException.class, () -> nftables.commit(wrong));
    assertTrue(e.is(Errno.ENOENT), e::getMessage);
    assertTrue(
        String.valueOf(e.getMessage()).startsWith("add a rule to chain \"ip t c\""), e::getMessage);
    assertEquals(List.of(), nftables.rules(chain));
    nftables.commit(new Transaction().append(chain, accept)); // the socket is still usable
    assertEquals(1, nftables.rules(chain).size());
  }

  @Test
  void commentAndOwnerAreKeptAndOnlyTheCommentIsShown() throws Exception {
    var table = new Table(TableFamily.IP, "t");
    Chain chain = table.chain("c");
    Rule rule =
        RuleBuilder.forFamily(TableFamily.IP)
            .append(Verdict.ACCEPT)
            .build()
            .withComment("the comment")
            .withOwner("the owner");
    nftables.commit(new Transaction().add(table).add(chain).append(chain, rule));
    assertEquals(rule, nftables.rules(chain).getFirst().rule());
    String shown = shown(chain);
    assertTrue(shown.contains("accept comment \"the comment\""), shown);
    assertFalse(shown.contains("the owner"), shown);
  }

  @Test
  void transactionOf5000RulesIsCommitted() throws Exception {
    var table = new Table(TableFamily.IP, "t");
    Chain chain = table.chain("c");
    var transaction = new Transaction().add(table).add(chain);
    for (int i = 0; i < 5000; i++) {
      transaction.append(
          chain,
          RuleBuilder.forFamily(TableFamily.IP)
              .destinationPort(RuleBuilder.TCP, i)
              .append(Verdict.ACCEPT)
              .build());
    }
    nftables.commit(transaction);
    List<InstalledRule> rules = nftables.rules(chain);
    assertEquals(5000, rules.size());
    var deletions = new Transaction();
    rules.forEach(deletions::delete);
    nftables.commit(deletions);
    assertEquals(List.of(), nftables.rules(chain));
  }

  @Test
  void concurrentUpdatesOfManyThreadsAllSucceed() throws Exception {
    var table = new Table(TableFamily.IP, "t");
    Chain chain = table.chain("c");
    nftables.commit(new Transaction().add(table).add(chain));
    Rule rule = RuleBuilder.forFamily(TableFamily.IP).append(Verdict.ACCEPT).build();
    List<Callable<Boolean>> tasks = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      String name = "n" + i;
      tasks.add(
          () -> {
            try (NftablesSocket own = NftablesSocket.open(bed.netns())) {
              for (int round = 0; round < 20; round++) {
                own.commit(new Transaction().append(chain, rule.withComment(name)));
                own.update(
                    socket -> {
                      var change = new Transaction();
                      for (InstalledRule installed : socket.rules(chain)) {
                        if (installed.rule().commentStartsWith(name)) {
                          change.delete(installed);
                        }
                      }
                      return change;
                    });
              }
              return true;
            }
          });
    }
    try (var threads = Executors.newFixedThreadPool(16)) {
      for (Future<Boolean> done : threads.invokeAll(tasks)) {
        assertTrue(done.get());
      }
    }
    // "n1" is a prefix of "n10", too: threads have deleted each other's rules. None must be left.
    assertEquals(List.of(), nftables.rules(chain));
  }

  @Test
  void chainsAreListedWithTheirHooks() throws Exception {
    TestBed.run(
        bed.netns(),
        "nft",
        "table inet f { chain forward { type filter hook forward priority 5; policy drop; }; chain c"
            + " { }; }");
    List<InstalledChain> chains = nftables.chains();
    var table = new Table(TableFamily.INET, "f");
    assertEquals(
        List.of(
            new InstalledChain(
                table.chain("forward"), Optional.of(new Hook("filter", Hook.FORWARD, 5)), true),
            new InstalledChain(table.chain("c"), Optional.empty(), false)),
        chains);
  }
}
