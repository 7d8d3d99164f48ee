// SPDX-License-Identifier: Apache-2.0
package cni.policy.file;

import cni.api.Json;
import cni.policy.Direction;
import cni.policy.Peer;
import cni.policy.Policy;
import cni.policy.PortMatch;
import cni.policy.RateLimit;
import cni.policy.Selector;
import cni.policy.TrafficRule;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Writes policies as JSON, in our form, which {@link PolicyReader} reads again as equal policies.
 * The text of equal policies is the same.
 */
public final class PolicyJson {
  private PolicyJson() {}

  /** Returns a list of policies. */
  public static ArrayNode of(Collection<Policy> policies) {
    ArrayNode list = Json.object().putArray("policies");
    policies.forEach(policy -> list.add(of(policy)));
    return list;
  }

  /**
   * Returns a policy.
   *
   * @throws IllegalArgumentException if it neither restricts nor limits anything: no file can say
   *     so
   */
  public static ObjectNode of(Policy policy) {
    if (policy.rules().isEmpty() && policy.limits().isEmpty()) {
      throw new IllegalArgumentException(
          "policy " + policy.name() + " has neither rules nor limits");
    }
    ObjectNode json = Json.object();
    json.put("name", policy.name());
    json.set("podSelector", of(policy.selector()));
    putAll(json, "networks", policy.networks());
    writeRules(policy.rules(), json);
    writeLimits(policy.limits(), json);
    return json;
  }

  private static void writeRules(Map<Direction, List<TrafficRule>> rules, ObjectNode json) {
    if (rules.isEmpty()) {
      return;
    }
    ArrayNode types = json.putArray("policyTypes");
    for (Direction direction : Direction.values()) {
      if (rules.containsKey(direction)) {
        types.add(direction.keyword());
        ArrayNode list = json.putArray(direction.key());
        rules.get(direction).forEach(rule -> list.add(of(rule, direction)));
      }
    }
  }

  /** Returns a rule. */
  public static ObjectNode of(TrafficRule rule, Direction direction) {
    ObjectNode json = Json.object();
    if (!rule.peers().isEmpty()) {
      ArrayNode peers = json.putArray(direction == Direction.INGRESS ? "from" : "to");
      rule.peers().forEach(peer -> peers.add(of(peer)));
    }
    if (!rule.ports().isEmpty()) {
      ArrayNode ports = json.putArray("ports");
      rule.ports().forEach(port -> ports.add(of(port)));
    }
    return json;
  }

  private static ObjectNode of(Peer peer) {
    ObjectNode json = Json.object();
    switch (peer) {
      case Peer.Group group -> {
        json.set("podSelector", of(group.selector()));
        putAll(json, "networks", group.networks());
      }
      case Peer.Block block -> {
        ObjectNode range = json.putObject("ipBlock").put("cidr", block.cidr().toString());
        if (!block.except().isEmpty()) {
          ArrayNode except = range.putArray("except");
          block.except().forEach(it -> except.add(it.toString()));
        }
      }
    }
    return json;
  }

  private static ObjectNode of(PortMatch port) {
    ObjectNode json = Json.object().put("protocol", port.protocol().name());
    switch (port) {
      case PortMatch.All _ -> {}
      case PortMatch.Named named -> json.put("port", named.name());
      case PortMatch.Range range -> {
        json.put("port", range.first());
        if (range.last() > range.first()) {
          json.put("endPort", range.last());
        }
      }
    }
    return json;
  }

  /** Returns a selector. */
  static ObjectNode of(Selector selector) {
    ObjectNode json = Json.object();
    if (!selector.matchLabels().isEmpty()) {
      ObjectNode labels = json.putObject("matchLabels");
      new TreeMap<>(selector.matchLabels()).forEach(labels::put);
    }
    if (!selector.matchExpressions().isEmpty()) {
      ArrayNode expressions = json.putArray("matchExpressions");
      for (Selector.Requirement it : selector.matchExpressions()) {
        ObjectNode expression = expressions.addObject();
        expression.put("key", it.key()).put("operator", it.operator().keyword());
        putAll(expression, "values", it.values());
      }
    }
    return json;
  }

  private static void putAll(ObjectNode json, String key, Collection<String> values) {
    if (!values.isEmpty()) {
      ArrayNode list = json.putArray(key);
      new TreeSet<>(values).forEach(list::add);
    }
  }

  private static void writeLimits(Map<Direction, RateLimit> limits, ObjectNode json) {
    if (limits.isEmpty()) {
      return;
    }
    ObjectNode bandwidth = json.putObject("bandwidth");
    for (Direction direction : Direction.values()) {
      RateLimit limit = limits.get(direction);
      if (limit != null) {
        bandwidth.put(direction.key() + "Rate", limit.rate());
        bandwidth.put(direction.key() + "Burst", limit.burst());
      }
    }
  }
}
