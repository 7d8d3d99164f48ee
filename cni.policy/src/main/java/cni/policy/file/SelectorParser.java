// SPDX-License-Identifier: Apache-2.0
package cni.policy.file;

import cni.api.internal.Suggestions;
import cni.policy.Labels;
import cni.policy.Selector;
import cni.policy.Selector.Operator;
import cni.policy.Selector.Requirement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Reads selectors of labels, in the form of Kubernetes' LabelSelector. */
final class SelectorParser {
  /** The label that Kubernetes gives every namespace: its name. */
  private static final String NAMESPACE_NAME = "kubernetes.io/metadata.name";

  private static final List<String> KEYS = List.of("matchLabels", "matchExpressions");
  private static final List<String> REQUIREMENT_KEYS = List.of("key", "operator", "values");
  private static final List<String> OPERATORS =
      Arrays.stream(Operator.values()).map(Operator::keyword).toList();

  private SelectorParser() {}

  /** Reads a selector of containers. */
  static Selector pods(StrictObject json) {
    json.requireKeys(KEYS);
    Map<String, String> labels = new LinkedHashMap<>();
    json.object("matchLabels").ifPresent(it -> labels.putAll(matchLabels(it)));
    List<Requirement> expressions = new ArrayList<>();
    for (StrictObject expression : json.objects("matchExpressions")) {
      requirement(expression).ifPresent(expressions::add);
    }
    return new Selector(labels, expressions);
  }

  private static Map<String, String> matchLabels(StrictObject json) {
    json.requireDistinctKeys();
    Map<String, String> labels = new LinkedHashMap<>();
    for (String key : json.allKeys()) {
      Labels.keyProblem(key).ifPresent(why -> json.refuse(key, why));
      if (!json.has(key)) {
        json.refuse(key, "is not allowed: write a string; \"\" is an empty value");
      }
      json.text(key, Labels::valueProblem).ifPresent(value -> labels.put(key, value));
    }
    return labels;
  }

  private static Optional<Requirement> requirement(StrictObject json) {
    json.requireKeys(REQUIREMENT_KEYS);
    json.requirePresent("key", "name the label");
    json.requirePresent("operator", "it must be one of " + String.join(", ", OPERATORS));
    Optional<String> key = json.text("key", Labels::keyProblem);
    Optional<Operator> operator =
        json.text("operator", SelectorParser::operatorProblem).map(SelectorParser::operator);
    List<String> values = json.texts("values", Labels::valueProblem);
    if (key.isEmpty() || operator.isEmpty()) {
      return Optional.empty();
    }
    boolean needsValues = operator.get() == Operator.IN || operator.get() == Operator.NOT_IN;
    if (needsValues && json.isEmptyList("values")) {
      json.refuse("values", "needs at least one value for " + operator.get().keyword());
    } else if (!needsValues && !json.isEmptyList("values")) {
      json.refuse("values", "is not allowed with " + operator.get().keyword() + ": leave it out");
    }
    return Optional.of(new Requirement(key.get(), operator.get(), new HashSet<>(values)));
  }

  private static Optional<String> operatorProblem(String text) {
    return OPERATORS.contains(text)
        ? Optional.empty()
        : Optional.of("is not an operator: " + Suggestions.of(text, OPERATORS));
  }

  private static Operator operator(String keyword) {
    return Arrays.stream(Operator.values())
        .filter(it -> it.keyword().equals(keyword))
        .findFirst()
        .orElseThrow();
  }

  /**
   * Reads a selector of namespaces. A host does not know the labels of namespaces, so that only
   * their names can be selected.
   *
   * @return the conditions on the label {@link Labels#NAMESPACE} of containers
   */
  static List<Requirement> namespaces(StrictObject json) {
    Selector selector = pods(json);
    List<Requirement> names = new ArrayList<>();
    for (Map.Entry<String, String> label : selector.matchLabels().entrySet()) {
      String value = label.getValue();
      addNames(json, new Requirement(label.getKey(), Operator.IN, Set.of(value)), names);
    }
    selector.matchExpressions().forEach(it -> addNames(json, it, names));
    return names;
  }

  private static void addNames(
      StrictObject json, Requirement requirement, List<Requirement> names) {
    if (!requirement.key().equals(NAMESPACE_NAME)) {
      json.refuse(
          "selects namespaces by the label "
              + requirement.key()
              + ", which this host does not know: select them by name, with the label "
              + NAMESPACE_NAME);
    } else if (requirement.operator() == Operator.DOES_NOT_EXIST) {
      json.refuse("selects no namespace: each has the label " + NAMESPACE_NAME);
    } else {
      if (requirement.operator() == Operator.NOT_IN) { // a container that is in some namespace
        names.add(new Requirement(Labels.NAMESPACE, Operator.EXISTS, Set.of()));
      }
      names.add(new Requirement(Labels.NAMESPACE, requirement.operator(), requirement.values()));
    }
  }
}
