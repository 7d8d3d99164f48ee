// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What the selected containers may receive and send. A container that no policy selects for a
 * direction is free in that direction; one that several select may do what any of them allows.
 *
 * @param name unique among the policies of a host
 * @param selector selects containers by labels
 * @param networks selects only attachments to these networks; empty for any
 * @param rules for each direction that the policy restricts (policyTypes), what it allows; an empty
 *     list allows nothing
 * @param limits for each limited direction the limit of all selected containers together
 */
public record Policy(
    String name,
    Selector selector,
    Set<String> networks,
    Map<Direction, List<TrafficRule>> rules,
    Map<Direction, RateLimit> limits) {
  /** Copies the collections. */
  public Policy {
    networks = Set.copyOf(networks);
    rules = Map.copyOf(rules);
    limits = Map.copyOf(limits);
  }

  /** Returns whether it selects an attachment. */
  public boolean selects(Endpoint endpoint) {
    return (networks.isEmpty() || networks.contains(endpoint.id().network()))
        && selector.matches(endpoint.labels());
  }

  /** Returns whether it restricts an attachment's traffic in a direction. */
  public boolean restricts(Endpoint endpoint, Direction direction) {
    return rules.containsKey(direction) && selects(endpoint);
  }
}
