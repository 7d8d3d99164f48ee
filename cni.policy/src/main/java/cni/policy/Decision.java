// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What the policies say about a connection. It needs the permission of both directions.
 *
 * @param egress the view of the source's policies
 * @param ingress the view of the destination's policies
 */
public record Decision(Verdict egress, Verdict ingress) {
  /** Returns whether the connection is allowed. */
  public boolean isAllowed() {
    return egress.isAllowed() && ingress.isAllowed();
  }

  /** Returns the changes that would allow the connection; all of them are needed. */
  public List<Remedy> remedies() {
    return Stream.of(egress, ingress).flatMap(it -> it.remedy().stream()).toList();
  }

  /**
   * The view of one direction.
   *
   * @param restrictedBy the names of the policies that restrict the container in this direction, in
   *     their order; empty if it is not restricted, or not a container
   * @param allowedBy the first rule that allows the connection; absent if it is not restricted or
   *     forbidden
   * @param remedy what would allow it; present if it is forbidden
   */
  public record Verdict(
      Direction direction,
      List<String> restrictedBy,
      Optional<RuleReference> allowedBy,
      Optional<Remedy> remedy) {
    /** Copies the list. */
    public Verdict {
      restrictedBy = List.copyOf(restrictedBy);
    }

    /** Returns whether any policy restricts the container in this direction. */
    public boolean isRestricted() {
      return !restrictedBy.isEmpty();
    }

    /** Returns whether the connection is allowed in this direction. */
    public boolean isAllowed() {
      return remedy.isEmpty();
    }
  }

  /**
   * A rule of a policy.
   *
   * @param index the rule's place in the list of its direction, from 0
   */
  public record RuleReference(String policy, Direction direction, int index) {
    /** Returns such as "ingress[0] of policy db". */
    @Override
    public String toString() {
      return direction.key() + "[" + index + "] of policy " + policy;
    }
  }

  /**
   * A change of a policy that would allow a connection in one direction, and no other connection
   * that it need not allow.
   *
   * @param policy the name of the policy
   * @param rule to append to the policy's rules of that direction
   * @param text the reason and the change in a sentence
   */
  public record Remedy(String policy, Direction direction, TrafficRule rule, String text) {}
}
