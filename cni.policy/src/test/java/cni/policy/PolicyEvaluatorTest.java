// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Cidr;
import cni.api.InetAddresses;
import cni.policy.Decision.RuleReference;
import cni.policy.file.PolicyFiles;
import cni.policy.file.PolicyReader;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

class PolicyEvaluatorTest {
  private static final Endpoint WEB =
      endpoint("web", Map.of("app", "web"), "10.0.0.2/24", "fd00::2/64");
  private static final Endpoint DB =
      endpoint("db", Map.of("app", "db"), "10.0.0.3/24", "fd00::3/64");
  private static final Endpoint PLAIN = endpoint("plain", Map.of(), "10.0.0.4/24");

  private static final String DB_POLICY =
      """
      {"name": "db", "podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"],
       "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "cache"}}}]},
                   {"from": [{"podSelector": {"matchLabels": {"app": "web"}}}],
                    "ports": [{"port": 5432}, {"port": "metrics"}]}]}
      """;

  private static final String WEB_EGRESS =
      """
      {"name": "web-egress", "podSelector": {"matchLabels": {"app": "web"}},
       "policyTypes": ["Egress"], "egress": [{"ports": [{"protocol": "UDP", "port": 53}]}]}
      """;

  private static Endpoint endpoint(String name, Map<String, String> labels, String... addresses) {
    return new Endpoint(
        new Endpoint.Id("net", name, "eth0"),
        labels,
        Map.of("metrics", new Endpoint.NamedPort(Protocol.TCP, 9100)),
        Arrays.stream(addresses).map(Cidr::parse).toList(),
        "veth-" + name,
        Optional.of("br0"));
  }

  private static PolicyEvaluator evaluator(String policies, Endpoint... endpoints) {
    String text = "[" + policies + "]";
    PolicyFiles files = PolicyReader.read(text.getBytes(StandardCharsets.UTF_8), Path.of("p.json"));
    assertEquals(List.of(), files.problems());
    Map<Endpoint.Id, Endpoint> byId = new HashMap<>();
    Arrays.stream(endpoints).forEach(it -> byId.put(it.id(), it));
    var state = new PolicyState(files.policies(), byId, Set.of(), Set.of());
    return PolicyEvaluator.of(state, Set.of(address("10.0.0.1")));
  }

  private static InetAddress address(String text) {
    return InetAddresses.parse(text);
  }

  private static Decision decide(
      PolicyEvaluator evaluator, String source, String destination, Protocol protocol, int port) {
    return evaluator.evaluate(address(source), address(destination), protocol, port);
  }

  @Test
  void theRuleThatAllowsIsNamed() {
    Decision decision =
        decide(evaluator(DB_POLICY, WEB, DB), "10.0.0.2", "10.0.0.3", Protocol.TCP, 5432);
    assertTrue(decision.isAllowed());
    assertFalse(decision.egress().isRestricted());
    assertEquals(List.of("db"), decision.ingress().restrictedBy());
    assertEquals(
        Optional.of(new RuleReference("db", Direction.INGRESS, 1)), decision.ingress().allowedBy());
    assertEquals("ingress[1] of policy db", decision.ingress().allowedBy().get().toString());
    assertEquals(List.of(), decision.remedies());
  }

  @Test
  void aNameOfAPortIsThatOfTheDestination() {
    PolicyEvaluator evaluator = evaluator(DB_POLICY, WEB, DB);
    assertTrue(decide(evaluator, "fd00::2", "fd00::3", Protocol.TCP, 9100).isAllowed());
    assertFalse(decide(evaluator, "fd00::2", "fd00::3", Protocol.UDP, 9100).isAllowed());
    assertFalse(decide(evaluator, "fd00::2", "fd00::3", Protocol.TCP, 9101).isAllowed());
  }

  private static String remedy(Decision decision) {
    assertEquals(1, decision.remedies().size());
    return decision.remedies().getFirst().text();
  }

  @Test
  void theRemedyNamesTheRuleThatNearlyMatches() {
    PolicyEvaluator evaluator = evaluator(DB_POLICY, WEB, DB, PLAIN);
    assertEquals(
        "policy db: ingress[1] allows from labels {app=web}, but not TCP 80; add"
            + " {\"from\":[{\"podSelector\":{\"matchLabels\":{\"app\":\"web\"}}}],"
            + "\"ports\":[{\"protocol\":\"TCP\",\"port\":80}]} to its ingress",
        remedy(decide(evaluator, "10.0.0.2", "10.0.0.3", Protocol.TCP, 80)));
    assertEquals(
        "policy db: ingress[0] allows UDP 1, but not from 192.0.2.1; add"
            + " {\"from\":[{\"ipBlock\":{\"cidr\":\"192.0.2.1/32\"}}],"
            + "\"ports\":[{\"protocol\":\"UDP\",\"port\":1}]} to its ingress",
        remedy(decide(evaluator, "192.0.2.1", "10.0.0.3", Protocol.UDP, 1)));
  }

  @Test
  void withoutAnyRuleTheRemedyIsANewOne() {
    String deny = "{\"name\": \"deny\", \"podSelector\": {}, \"policyTypes\": [\"Ingress\"]}";
    assertEquals(
        "policy deny: ingress has no rule for ICMP from 10.0.0.4; add"
            + " {\"from\":[{\"ipBlock\":{\"cidr\":\"10.0.0.4/32\"}}],"
            + "\"ports\":[{\"protocol\":\"ICMP\"}]} to its ingress",
        remedy(decide(evaluator(deny, PLAIN, DB), "10.0.0.4", "10.0.0.3", Protocol.ICMP, 0)));
  }

  @Test
  void bothSidesMustAllow() {
    PolicyEvaluator evaluator = evaluator(DB_POLICY + "," + WEB_EGRESS, WEB, DB);
    Decision decision = decide(evaluator, "10.0.0.2", "10.0.0.3", Protocol.TCP, 5432);
    assertFalse(decision.egress().isAllowed());
    assertTrue(decision.ingress().isAllowed());
    assertEquals("web-egress", decision.remedies().getFirst().policy());
    assertEquals(2, decide(evaluator, "10.0.0.2", "10.0.0.3", Protocol.TCP, 80).remedies().size());
    assertTrue(decide(evaluator, "10.0.0.2", "10.0.0.1", Protocol.UDP, 53).isAllowed());
  }

  @Test
  void theHostMayReachEveryContainerButNotBeReachedByAll() {
    PolicyEvaluator evaluator = evaluator(DB_POLICY + "," + WEB_EGRESS, WEB, DB);
    assertTrue(decide(evaluator, "10.0.0.1", "10.0.0.3", Protocol.TCP, 1).isAllowed());
    assertFalse(evaluator.forbids(address("10.0.0.1"), address("10.0.0.3"), 6, 1));
    assertFalse(decide(evaluator, "10.0.0.2", "10.0.0.1", Protocol.TCP, 1).isAllowed());
  }

  @Test
  void linkLocalAddressesMatchOnlyRulesForAnyPeer() {
    String all =
        """
        {"name": "all-v6", "podSelector": {}, "ingress": [
          {"from": [{"ipBlock": {"cidr": "::/0"}}, {"ipBlock": {"cidr": "0.0.0.0/0"}}]},
          {"ports": [{"port": 80}]}]}
        """;
    PolicyEvaluator evaluator = evaluator(all, DB);
    assertTrue(decide(evaluator, "fe80::1", "fd00::3", Protocol.TCP, 80).isAllowed());
    assertTrue(decide(evaluator, "fec0::1", "fd00::3", Protocol.TCP, 81).isAllowed());
    assertTrue(decide(evaluator, "169.254.0.1", "10.0.0.3", Protocol.TCP, 81).isAllowed());
    Decision decision = decide(evaluator, "fe80::1", "fd00::3", Protocol.TCP, 81);
    assertFalse(decision.isAllowed());
    assertEquals(List.of(), decision.remedies().getFirst().rule().peers());
  }

  @Test
  void otherProtocolsNeedARuleForAny() {
    PolicyEvaluator evaluator = evaluator(DB_POLICY, WEB, DB);
    var source = new Party.Container(WEB, address("10.0.0.2"));
    var destination = new Party.Container(DB, address("10.0.0.3"));
    Decision decision = evaluator.decide(new Flow(source, destination, 47, 0));
    assertTrue(remedy(decision).contains("but not IP protocol 47; add {\"from\":"));
    assertEquals(List.of(), decision.remedies().getFirst().rule().ports());
  }

  @Test
  void anAddressOfSeveralContainersIsAllowedWhatAnyOfThemIs() {
    Endpoint other = endpoint("other", Map.of("app", "x"), "10.0.0.3/24");
    PolicyEvaluator evaluator = evaluator(DB_POLICY, WEB, DB, other);
    assertEquals(2, evaluator.partiesOf(address("10.0.0.3")).size());
    assertTrue(decide(evaluator, "10.0.0.2", "10.0.0.3", Protocol.TCP, 1).isAllowed());
  }

  @Test
  void addressesOfDifferentVersionsAreRefused() {
    PolicyEvaluator evaluator = evaluator(DB_POLICY, DB);
    assertThrows(
        IllegalArgumentException.class,
        () -> decide(evaluator, "10.0.0.2", "fd00::3", Protocol.TCP, 1));
  }

  @Test
  void thePoliciesThatRestrictAContainer() {
    PolicyEvaluator evaluator = evaluator(DB_POLICY + "," + WEB_EGRESS, WEB, DB);
    assertEquals(
        List.of("db"),
        evaluator.restricting(DB, Direction.INGRESS).stream().map(Policy::name).toList());
    assertEquals(List.of(), evaluator.restricting(DB, Direction.EGRESS));
  }
}
