// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.Cidr;
import cni.api.Json;
import cni.policy.CompiledRules.Packet;
import cni.policy.CompiledRules.Rule;
import cni.policy.Decision.Remedy;
import cni.policy.file.PolicyJson;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Finds what would allow a forbidden connection in one direction: a rule for exactly its peer and
 * port, in the policy with a rule that nearly matches, or else in the first that restricts.
 */
final class Remedies {
  private final Flow flow;
  private final Direction direction;

  Remedies(Flow flow, Direction direction) {
    this.flow = flow;
    this.direction = direction;
  }

  /** Returns the change. A rule for the peer is nearer than one for the port. */
  Remedy of(List<CompiledRules> restricting, Packet packet) {
    return near(restricting, rule -> rule.matchesPeer(packet), peer(), service())
        .or(() -> near(restricting, rule -> rule.matchesPort(packet), service(), peer()))
        .orElseGet(
            () ->
                remedy(
                    restricting.getFirst(),
                    key() + " has no rule for " + service() + " " + peer()));
  }

  private Optional<Remedy> near(
      List<CompiledRules> restricting, Predicate<Rule> matches, String allowed, String missing) {
    for (CompiledRules rules : restricting) {
      for (int i = 0; i < rules.rules().size(); i++) {
        if (matches.test(rules.rules().get(i))) {
          String reason = key() + "[" + i + "] allows " + allowed + ", but not " + missing;
          return Optional.of(remedy(rules, reason));
        }
      }
    }
    return Optional.empty();
  }

  private Remedy remedy(CompiledRules rules, String reason) {
    TrafficRule rule = rule();
    String json = new String(Json.bytes(PolicyJson.of(rule, direction)), StandardCharsets.UTF_8);
    String policy = rules.policy().name();
    String text = "policy " + policy + ": " + reason + "; add " + json + " to its " + key();
    return new Remedy(policy, direction, rule, text);
  }

  private String key() {
    return direction.key();
  }

  private Party party() {
    return direction == Direction.EGRESS ? flow.destination() : flow.source();
  }

  private String peer() {
    return (direction == Direction.EGRESS ? "to " : "from ") + party().describe();
  }

  private String service() {
    return flow.describeService();
  }

  private TrafficRule rule() {
    return new TrafficRule(
        isLinkLocal() ? List.of() : List.of(wantedPeer()),
        wantedPort().map(List::of).orElse(List.of()));
  }

  private boolean isLinkLocal() {
    return CompiledRules.Address.of(party().address()).isLinkLocal();
  }

  /** The labels of a container but its name, which changes; or else its address. */
  private Peer wantedPeer() {
    if (party() instanceof Party.Container container) {
      Map<String, String> labels = new HashMap<>(container.endpoint().labels());
      labels.remove(Labels.POD_NAME);
      if (!labels.isEmpty()) {
        return new Peer.Group(new Selector(labels, List.of()), Set.of());
      }
    }
    return new Peer.Block(Cidr.ofHost(party().address()), List.of());
  }

  /** Nothing for a protocol that rules do not know: only a rule for any protocol allows it. */
  private Optional<PortMatch> wantedPort() {
    return flow.knownProtocol()
        .map(
            it ->
                it.hasPorts() && flow.port() > 0
                    ? new PortMatch.Range(it, flow.port(), flow.port())
                    : new PortMatch.All(it));
  }
}
