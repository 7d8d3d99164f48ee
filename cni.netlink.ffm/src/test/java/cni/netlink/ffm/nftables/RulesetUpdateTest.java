// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.RulesetReconciler.WantedRule;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.io.IOException;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Changes of a ruleset that are planned, committed later and undone. */
@KernelTest(commands = "nft")
class RulesetUpdateTest {
  private static final Table TABLE = new Table(TableFamily.IP, "t");
  private static final Chain SHARED = TABLE.chain("shared");
  private static final Chain OWN = TABLE.chain("own");

  private static boolean isOwn(InstalledRule rule) {
    return rule.chain().equals(OWN) || rule.rule().userdata().owner().isPresent();
  }

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

  private static Rule port(int port) {
    return RuleBuilder.forFamily(TableFamily.IP)
        .destinationPort(RuleBuilder.TCP, port)
        .append(Verdict.ACCEPT)
        .build();
  }

  private static Rule own(int port) {
    return port(port).withOwner("me");
  }

  /** The rule of port 11 may be anywhere; the others have to be in order. */
  private static List<WantedRule> wanted(Rule... rules) {
    return Stream.of(rules).map(rule -> new WantedRule(group(rule), rule)).toList();
  }

  private static Object group(Rule rule) {
    return rule.equals(own(11));
  }

  private static Rule jump(Chain chain) {
    return RuleBuilder.forFamily(TableFamily.IP).append(Verdict.jump(chain.name())).build();
  }

  private void nft(String command) throws IOException {
    TestBed.run(bed.netns(), "nft", command);
  }

  private String ruleset() throws Exception {
    return TestBed.run(bed.netns(), "nft", "--stateless", "list", "ruleset");
  }

  private RulesetUpdate<IOException> update(RulesetReconciler.Planner<IOException> planner) {
    return new RulesetUpdate<>(nftables, planner, RulesetUpdateTest::isOwn);
  }

  private void prepare() throws IOException {
    var transaction = new Transaction().add(TABLE).add(SHARED);
    for (int port : List.of(1, 2, 3)) {
      transaction.append(SHARED, port(port)).append(SHARED, own(10 + port));
    }
    nftables.commit(transaction);
  }

  /** Keeps the rules of two ports, deletes those of another and adds others. */
  private static void arrange(RulesetReconciler reconciler) throws IOException {
    List<InstalledRule> candidates =
        reconciler.rules(SHARED).stream().filter(RulesetUpdateTest::isOwn).toList();
    reconciler.arrange(SHARED, wanted(own(8), own(12), own(13)), candidates, rule -> true);
    reconciler.ensure(OWN).append(OWN, port(80)).insert(SHARED, jump(OWN));
  }

  @Test
  void missingRulesAreAddedInOrderAndTheRestStays() throws Exception {
    prepare();
    List<InstalledRule> before = nftables.rules(SHARED);
    update(RulesetUpdateTest::arrange).apply();
    List<InstalledRule> after = nftables.rules(SHARED);
    assertEquals(
        List.of(jump(OWN), port(1), port(2), own(8), own(12), port(3), own(13)),
        after.stream().map(InstalledRule::rule).toList());
    assertEquals(before.get(3).handle(), after.get(4).handle());
    assertEquals(before.get(5).handle(), after.get(6).handle());
  }

  @Test
  void rulesInTheWrongOrderAreReplaced() throws Exception {
    prepare();
    update(
            reconciler ->
                reconciler.arrange(
                    SHARED,
                    wanted(own(13), own(12), own(11)),
                    reconciler.rules(SHARED).stream().filter(RulesetUpdateTest::isOwn).toList(),
                    rule -> true))
        .apply();
    assertEquals(
        List.of(port(1), own(11), port(2), port(3), own(13), own(12)),
        nftables.rules(SHARED).stream().map(InstalledRule::rule).toList());
  }

  @Test
  void undoRestoresRulesInTheirOrderChainsAndTables() throws Exception {
    String empty = ruleset();
    var all = update(reconciler -> reconciler.ensure(OWN).append(OWN, port(80)));
    all.apply();
    assertNotEquals(empty, ruleset());
    all.undo();
    assertEquals(empty, ruleset());

    prepare();
    String before = ruleset();
    var update = update(RulesetUpdateTest::arrange);
    update.apply();
    String changed = ruleset();
    update.undo();
    assertEquals(before, ruleset());
    update.apply();
    assertEquals(changed, ruleset());
    var removal = update(reconciler -> reconciler.removeCalledFrom(List.of(SHARED), OWN));
    removal.apply();
    assertFalse(ruleset().contains("\"own\""));
    removal.undo();
    assertEquals(changed, ruleset());
  }

  @Test
  void changeOfAnotherProcessBetweenPlanAndCommitIsTakenIntoAccount() throws Exception {
    prepare();
    for (boolean appliesSoon : List.of(true, false)) {
      var update = update(RulesetUpdateTest::arrange);
      assertFalse(update.plan(appliesSoon).added().isEmpty());
      String before = ruleset();
      nft("flush chain ip t shared");
      nft("add rule ip t shared tcp dport 7 accept");
      update.apply();
      assertEquals(
          List.of(jump(OWN), port(7), own(8), own(12), own(13)),
          nftables.rules(SHARED).stream().map(InstalledRule::rule).toList());
      update.undo();
      nft("flush chain ip t shared");
      var restored = new Transaction();
      for (int port : List.of(1, 2, 3)) {
        restored.append(SHARED, port(port)).append(SHARED, own(10 + port));
      }
      nftables.commit(restored);
      assertEquals(before, ruleset());
    }
  }

  @Test
  void undoLeavesTheChangesOfOthersAndWhatTheyRelyOn() throws Exception {
    var update =
        update(
            reconciler ->
                reconciler
                    .ensure(OWN)
                    .append(OWN, port(80))
                    .ensure(SHARED)
                    .insert(SHARED, port(1))
                    .append(SHARED, own(11)));
    update.apply();
    nft("add rule ip t shared tcp dport 7 accept");
    update.undo();
    assertEquals(
        List.of(port(1), port(7)),
        nftables.rules(SHARED).stream().map(InstalledRule::rule).toList());
    assertFalse(nftables.exists(OWN));
  }

  @Test
  void undoRestoresADeletedRuleBesideItsFormerNeighbours() throws Exception {
    prepare();
    var update =
        update(
            reconciler -> {
              List<InstalledRule> rules = reconciler.rules(SHARED);
              reconciler.delete(rules.get(1)).delete(rules.get(4)).delete(rules.get(5));
            });
    update.apply();
    nft("delete rule ip t shared handle " + nftables.rules(SHARED).get(1).handle());
    nft("add rule ip t shared tcp dport 7 accept");
    update.undo();
    assertEquals(
        List.of(port(1), own(11), own(12), port(3), own(13), port(7)),
        nftables.rules(SHARED).stream().map(InstalledRule::rule).toList());
  }

  @Test
  void chainWithAnUnexpectedJumpIsRemovedToo() throws Exception {
    prepare();
    nft("add chain ip t own");
    nft("add chain ip t odd");
    nft("add rule ip t odd jump own");
    RulesetReconciler.<IOException>update(
        nftables, reconciler -> reconciler.removeCalledFrom(List.of(SHARED), OWN));
    assertFalse(nftables.exists(OWN));
    assertEquals(List.of(), nftables.rules(TABLE.chain("odd")));
    assertTrue(nftables.tables().contains(TABLE));
  }
}
