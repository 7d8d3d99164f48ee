// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.policy.Direction;
import cni.policy.Endpoint;
import cni.policy.Policy;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * What applies to an endpoint.
 *
 * @param policies the names of the policies that select it
 * @param ingress the profile of what it receives; empty if it is free
 * @param egress the profile of what it sends
 * @param ingressLimits the limits of what it receives; empty if there are none
 * @param egressLimits the limits of what it sends
 */
record Selection(
    List<String> policies,
    Optional<Profile> ingress,
    Optional<Profile> egress,
    Optional<LimitChain> ingressLimits,
    Optional<LimitChain> egressLimits) {

  /**
   * Returns what applies to an endpoint.
   *
   * @param selecting the policies that select it, by name
   */
  static Selection of(Endpoint endpoint, List<Policy> selecting) {
    return new Selection(
        selecting.stream().map(Policy::name).toList(),
        Profile.of(endpoint, Direction.INGRESS, selecting),
        Profile.of(endpoint, Direction.EGRESS, selecting),
        LimitChain.of(Direction.INGRESS, selecting),
        LimitChain.of(Direction.EGRESS, selecting));
  }

  /** Returns whether any of some policies applies. */
  boolean isBy(Set<String> names) {
    return policies.stream().anyMatch(names::contains);
  }

  Optional<Profile> profile(Direction direction) {
    return direction == Direction.INGRESS ? ingress : egress;
  }

  Optional<LimitChain> limits(Direction direction) {
    return direction == Direction.INGRESS ? ingressLimits : egressLimits;
  }
}
