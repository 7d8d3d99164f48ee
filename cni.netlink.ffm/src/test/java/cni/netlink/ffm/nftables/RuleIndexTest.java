// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class RuleIndexTest {
  private static final Chain CHAIN = new Table(TableFamily.IP, "t").chain("c");

  /** Returns a rule that differs from those with other numbers in a port or an address. */
  private static InstalledRule rule(int number) {
    InetAddress address = InetAddress.ofLiteral("10.0.0." + (1 + number / 60_000));
    RuleBuilder builder = RuleBuilder.forFamily(TableFamily.IP);
    Rule rule =
        builder
            .destinationPort(RuleBuilder.TCP, number % 60_000)
            .destinationNat(address, 80)
            .build();
    return new InstalledRule(CHAIN, number + 1, rule);
  }

  private static List<InstalledRule> rules(int count) {
    List<InstalledRule> rules = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      rules.add(rule(i));
    }
    return rules;
  }

  @Test
  @Timeout(120) // by comparing all pairs, it takes more than ten minutes
  void manyRulesAreFoundAmongMany() {
    int count = 60_000;
    var index = new RuleIndex(rules(count));
    List<InstalledRule> wanted = rules(count);
    Collections.reverse(wanted);
    for (InstalledRule rule : wanted) {
      assertTrue(index.take(rule).isPresent(), rule::toString);
    }
    assertEquals(List.of(), index.remaining());
  }

  @Test
  void eachRuleIsTakenOnce() {
    List<InstalledRule> rules = rules(20);
    rules.addAll(List.of(new InstalledRule(CHAIN, 100, rule(3).rule())));
    var index = new RuleIndex(rules);
    for (int i = 0; i < 20; i++) {
      assertTrue(index.take(rule(i)).isPresent());
    }
    assertTrue(index.take(rule(3)).isPresent());
    assertFalse(index.take(rule(3)).isPresent());
    assertFalse(index.contains(rule(4)));
    assertFalse(index.contains(rule(21)));
    assertEquals(List.of(), index.remaining());
  }

  @Test
  void rulesOfOtherChainsDoNotMatch() {
    var index = new RuleIndex(rules(20));
    Chain other = CHAIN.table().chain("other");
    for (int i = 0; i < 20; i++) { // by comparison, then by hash
      assertFalse(index.contains(new InstalledRule(other, 0, rule(i).rule())));
      assertTrue(index.contains(rule(i)));
    }
    assertEquals(20, index.remaining().size());
  }
}
