// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.Cidr;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What the rules in the kernel are a function of.
 *
 * @param policies the policies in force, in the order of their names
 * @param endpoints the attachments
 * @param guards networks on which unknown containers are unreachable
 * @param exempt veth interfaces on guarded networks that existed before and are no endpoints: the
 *     guards let them pass
 */
public record PolicyState(
    List<Policy> policies,
    Map<Endpoint.Id, Endpoint> endpoints,
    Set<Guard> guards,
    Set<String> exempt) {
  /** No policy and no attachment. */
  public static final PolicyState EMPTY = new PolicyState(List.of(), Map.of(), Set.of(), Set.of());

  /** Copies the collections. */
  public PolicyState {
    policies = List.copyOf(policies);
    endpoints = Map.copyOf(endpoints);
    guards = Set.copyOf(guards);
    exempt = Set.copyOf(exempt);
  }

  /** Returns the state with other policies. */
  public PolicyState withPolicies(List<Policy> others) {
    return new PolicyState(others, endpoints, guards, exempt);
  }

  /** Returns the state with an attachment added, or replaced. */
  public PolicyState with(Endpoint endpoint) {
    Map<Endpoint.Id, Endpoint> all = new HashMap<>(endpoints);
    all.put(endpoint.id(), endpoint);
    return new PolicyState(policies, all, guards, exempt);
  }

  /** Returns the state without an attachment. */
  public PolicyState without(Endpoint.Id id) {
    Map<Endpoint.Id, Endpoint> all = new HashMap<>(endpoints);
    all.remove(id);
    return new PolicyState(policies, all, guards, exempt);
  }

  /** Returns the state with other guards and exemptions. */
  public PolicyState withGuards(Set<Guard> others, Set<String> exemptInterfaces) {
    return new PolicyState(policies, endpoints, others, exemptInterfaces);
  }

  /**
   * A network of containers in which a container must be an endpoint to be reachable: one that is
   * just being attached is not yet. It lasts longer than the endpoints.
   *
   * @param prefix the network's addresses, without host bits
   * @param bridge the bridge of the containers; empty if they are routed
   */
  public record Guard(Cidr prefix, Optional<String> bridge) {}
}
