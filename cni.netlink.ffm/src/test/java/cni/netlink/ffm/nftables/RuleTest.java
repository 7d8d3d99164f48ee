// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

/** Equality and equivalence of rules, and equality of names. */
class RuleTest {
  private static final Expression PROTOCOL = new Expression.Meta(16, 1);
  private static final Expression TCP = new Expression.Compare(0, 1, Bytes.of((byte) 6));

  private static Rule rule(Expression... expressions) {
    return new Rule(List.of(expressions), Userdata.NONE);
  }

  @Test
  void rulesAreEqualIfExpressionsAndUserdataAreEqual() {
    Rule rule = rule(PROTOCOL, TCP, Expression.Verdict.ACCEPT);
    Rule again = rule(new Expression.Meta(16, 1), TCP, new Expression.Verdict(1, ""));
    assertEquals(rule, again);
    assertEquals(rule.hashCode(), again.hashCode());
    assertNotEquals(rule, again.withComment("comment"));
    assertEquals(rule.withComment("comment"), again.withComment("comment"));
    assertNotEquals(rule.withComment("comment"), again.withOwner("comment"));
    assertTrue(rule.isEquivalentTo(again.withOwner("owner").withComment("comment")));
  }

  @Test
  void rulesDifferIfAnyValueOrTheOrderDiffers() {
    Rule rule = rule(PROTOCOL, TCP);
    for (Rule other :
        List.of(
            rule(PROTOCOL),
            rule(TCP, PROTOCOL),
            rule(PROTOCOL, TCP, TCP),
            rule(new Expression.Meta(16, 2), TCP),
            rule(new Expression.Payload(16, 1, 1, 1), TCP),
            rule(PROTOCOL, new Expression.Compare(1, 1, Bytes.of((byte) 6))),
            rule(PROTOCOL, new Expression.Compare(0, 1, Bytes.of((byte) 6, (byte) 0))),
            rule(PROTOCOL, new Expression.Immediate(1, Bytes.of((byte) 6))))) {
      assertNotEquals(rule, other);
      assertFalse(rule.isEquivalentTo(other), other::toString);
      assertFalse(other.isEquivalentTo(rule), other::toString);
    }
  }

  @Test
  void valuesNotSentToTheKernelDoNotMatter() {
    Rule reset = rule(new Expression.Reject(Expression.Reject.TCP_RESET, 0));
    Rule again = rule(new Expression.Reject(Expression.Reject.TCP_RESET, 3));
    assertEquals(reset, again);
    assertEquals(reset.hashCode(), again.hashCode());
    assertNotEquals(reset, rule(new Expression.Reject(0, 0)));
  }

  @Test
  void unparsedExpressionsEqualNothing() {
    assertNotEquals(rule(new Expression.Unparsed("quota")), rule(new Expression.Unparsed("quota")));
    assertFalse(
        rule(new Expression.Unparsed("quota"))
            .isEquivalentTo(rule(new Expression.Unparsed("quota"))));
  }

  @Test
  void setElementsMatterForEqualityButNotForEquivalence() {
    Rule tcp = rule(Expression.Lookup.ofSet(ports(1), 1, false));
    assertEquals(tcp, rule(Expression.Lookup.ofSet(ports(1), 1, false)));
    Rule other = rule(Expression.Lookup.ofSet(ports(2), 1, false));
    assertNotEquals(tcp, other);
    assertTrue(tcp.isEquivalentTo(other));
    assertTrue(
        tcp.isEquivalentTo(rule(new Expression.Lookup("__set7", Optional.empty(), 1, false))));
    assertFalse(tcp.isEquivalentTo(rule(Expression.Lookup.ofSet(ports(1), 1, true))));
    assertFalse(tcp.isEquivalentTo(rule(Expression.Lookup.ofSet(ports(1), 2, false))));
  }

  @Test
  void namesOfNamedSetsMatterForEquivalence() {
    Rule named = rule(new Expression.Lookup("one", Optional.empty(), 1, false));
    Rule other = rule(new Expression.Lookup("two", Optional.empty(), 1, false));
    assertTrue(
        named.isEquivalentTo(rule(new Expression.Lookup("one", Optional.empty(), 1, false))));
    assertFalse(named.isEquivalentTo(other));
    assertFalse(named.isEquivalentTo(rule(Expression.Lookup.ofSet(ports(1), 1, false))));
    Rule map = rule(new Expression.VerdictLookup("one", 1));
    assertFalse(map.isEquivalentTo(named));
    assertFalse(map.isEquivalentTo(rule(new Expression.VerdictLookup("two", 1))));
  }

  private static AnonymousSet ports(int port) {
    return new AnonymousSet(
        AnonymousSet.Type.PORT, false, List.of(new AnonymousSet.Element(Bytes.be16(port), false)));
  }

  @Test
  void tablesChainsAndUserdataAreComparedByValue() {
    var table = new Table(TableFamily.IP, "nat");
    Map<Chain, String> chains = new HashMap<>(Map.of(table.chain("a"), "a"));
    assertEquals("a", chains.get(new Table(TableFamily.IP, "nat").chain("a")));
    assertNotEquals(table, new Table(TableFamily.IP6, "nat"));
    assertNotEquals(table, new Table(TableFamily.IP, "filter"));
    assertNotEquals(table.chain("a"), table.chain("b"));
    assertNotEquals(table.chain("a"), new Table(TableFamily.IP6, "nat").chain("a"));
    assertEquals(Userdata.comment("a"), new Userdata(Optional.of("a"), Optional.empty()));
    assertNotEquals(Userdata.comment("a"), Userdata.NONE.withOwner("a"));
  }

  @Test
  void everyKindOfExpressionIsReadAsItWasWritten() throws IOException {
    Bytes data = Bytes.of((byte) 1, (byte) 2, (byte) 3, (byte) 4);
    Rule rule =
        rule(
            new Expression.Meta(15, 1),
            new Expression.Payload(1, 2, 3, 4),
            new Expression.Compare(5, 1, data),
            new Expression.Bitwise(1, 2, data, Bytes.repeated(4, 7)),
            new Expression.Immediate(2, data),
            new Expression.Counter(),
            new Expression.Fib(3, 2, 1),
            new Expression.Connection(3, 2),
            new Expression.Lookup("__set1", Optional.empty(), 2, true),
            new Expression.Lookup("named", Optional.empty(), 1, false),
            new Expression.VerdictLookup("map", 9),
            new Expression.ObjectReference(Expression.ObjectReference.LIMIT, "limit"),
            new Expression.Masq(4),
            new Expression.Nat(1, 2, 3, 4, 8),
            new Expression.Nat(0, 10, 1, 0, 0),
            new Expression.Redirect(3),
            new Expression.Reject(2, 3),
            new Expression.Limit(10, 60, 5, true),
            new Expression.PacketLog("prefix"),
            new Expression.XtMatch("comment", 1, data),
            new Expression.XtTarget("DNAT", 2, data),
            Expression.Verdict.jump("chain"));
    Chain chain = new Table(TableFamily.IP, "nat").chain("a");
    byte[] message =
        new Transaction().append(chain, rule).batch(OptionalInt.empty()).get(1).payload();
    ByteBuffer buffer = ByteBuffer.wrap(message).order(ByteOrder.nativeOrder());
    InstalledRule read = InstalledRule.read(buffer);
    assertEquals(chain, read.chain());
    assertEquals(rule.expressions(), read.rule().expressions());
    assertEquals(rule, read.rule());
  }
}
