// SPDX-License-Identifier: Apache-2.0
package cni.policy;

/** A direction of traffic, from the container's point of view, as in Kubernetes. */
public enum Direction {
  /** To the container. */
  INGRESS("Ingress", "ingress"),
  /** From the container. */
  EGRESS("Egress", "egress");

  private final String keyword;
  private final String key;

  Direction(String keyword, String key) {
    this.keyword = keyword;
    this.key = key;
  }

  /** Returns its name in a list of policyTypes. */
  public String keyword() {
    return keyword;
  }

  /** Returns the key of its rules in a policy, and the beginning of the keys of its limit. */
  public String key() {
    return key;
  }
}
