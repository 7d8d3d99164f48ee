// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A condition on labels, as a LabelSelector of Kubernetes. Without conditions it matches any.
 *
 * @param matchLabels labels that must be there with these values
 * @param matchExpressions further conditions, all of which must hold
 */
public record Selector(Map<String, String> matchLabels, List<Requirement> matchExpressions) {
  /** Matches any labels. */
  public static final Selector ANY = new Selector(Map.of(), List.of());

  /** Copies the conditions. */
  public Selector {
    matchLabels = Map.copyOf(matchLabels);
    matchExpressions = List.copyOf(matchExpressions);
  }

  /** Returns whether labels satisfy all conditions. */
  public boolean matches(Map<String, String> labels) {
    for (Map.Entry<String, String> label : matchLabels.entrySet()) {
      if (!label.getValue().equals(labels.get(label.getKey()))) {
        return false;
      }
    }
    for (Requirement requirement : matchExpressions) {
      if (!requirement.matches(labels)) {
        return false;
      }
    }
    return true;
  }

  /** How the label of a {@link Requirement} compares with its values. */
  public enum Operator {
    /** The label is there with one of the values. */
    IN("In"),
    /** The label is absent, or has none of the values. */
    NOT_IN("NotIn"),
    /** The label is there; there are no values. */
    EXISTS("Exists"),
    /** The label is absent; there are no values. */
    DOES_NOT_EXIST("DoesNotExist");

    private final String keyword;

    Operator(String keyword) {
      this.keyword = keyword;
    }

    /** Returns the operator's name in a configuration. */
    public String keyword() {
      return keyword;
    }
  }

  /**
   * A condition on one label.
   *
   * @param key the label's name
   * @param values the values of In and NotIn; otherwise empty
   */
  public record Requirement(String key, Operator operator, Set<String> values) {
    /** Copies the values. */
    public Requirement {
      values = Set.copyOf(values);
    }

    boolean matches(Map<String, String> labels) {
      String value = labels.get(key);
      return switch (operator) {
        case IN -> value != null && values.contains(value);
        case NOT_IN -> value == null || !values.contains(value);
        case EXISTS -> value != null;
        case DOES_NOT_EXIST -> value == null;
      };
    }
  }
}
