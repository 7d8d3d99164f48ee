// SPDX-License-Identifier: Apache-2.0
package cni.policy.file;

import cni.api.ConfigObject;
import cni.api.Json;
import cni.api.internal.Suggestions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A view of an object that reports every problem and reads on, in contrast to {@link ConfigObject},
 * which throws at the first. Keys must have the right case, and values must not be null: a template
 * that renders null instead of a selector must not select everything.
 */
final class StrictObject {
  private final ObjectNode json;
  private final String path;
  private final ProblemCollector problems;

  StrictObject(ObjectNode json, String path, ProblemCollector problems) {
    this.json = json;
    this.path = path;
    this.problems = problems;
  }

  /** Reports keys that are repeated, not known or null. */
  void requireKeys(List<String> known) {
    requireDistinctKeys();
    for (Map.Entry<String, JsonNode> entry : json.properties()) {
      if (!known.contains(entry.getKey())) {
        String key = Json.quote(entry.getKey());
        problems.add(
            path(entry.getKey()), null, "is not a known key: " + Suggestions.of(bare(key), known));
      } else if (entry.getValue().isNull()) {
        refuse(entry.getKey(), "is not allowed: leave the key out, or give it a value");
      }
    }
  }

  /** Reports keys that are repeated. */
  void requireDistinctKeys() {
    for (String key : new ConfigObject(json, path).repeatedKeys()) {
      problems.add(path(key), null, "appears more than once in the same object: keep one of them");
    }
  }

  private static String bare(String quoted) {
    return quoted.substring(1, quoted.length() - 1);
  }

  String path() {
    return path;
  }

  String path(String key) {
    return path.isEmpty() ? key : path + "." + key;
  }

  ProblemCollector problems() {
    return problems;
  }

  boolean has(String key) {
    return node(key) != null;
  }

  boolean isEmpty() {
    return json.isEmpty();
  }

  /** Returns all keys, in the order of the file. */
  List<String> allKeys() {
    return List.copyOf(json.propertyNames());
  }

  /** Reports a key that is absent. */
  void requirePresent(String key, String remedy) {
    if (!json.has(key)) {
      refuse(key, "is missing: " + remedy);
    }
  }

  /** Returns whether the value of a key is a list without elements, or absent. */
  boolean isEmptyList(String key) {
    JsonNode node = node(key);
    return node == null || (node.isArray() && node.isEmpty());
  }

  /** Reports a problem of a key. */
  void refuse(String key, String remedy) {
    problems.add(path(key), json.get(key), remedy);
  }

  /** Reports a problem of the object itself. */
  void refuse(String remedy) {
    problems.add(path, json, remedy);
  }

  @Nullable JsonNode node(String key) {
    JsonNode node = json.get(key);
    return node == null || node.isNull() ? null : node;
  }

  Optional<String> text(String key) {
    JsonNode node = node(key);
    return node == null ? Optional.empty() : text(node, path(key));
  }

  /** Returns a string, unless the check returns why it is refused. */
  Optional<String> text(String key, Function<String, Optional<String>> check) {
    JsonNode node = node(key);
    return node == null ? Optional.empty() : checked(node, path(key), check);
  }

  private Optional<String> text(JsonNode node, String nodePath) {
    if (node.isString()) {
      return Optional.of(node.stringValue());
    }
    boolean needsQuotes = node.isNumber() || node.isBoolean();
    problems.add(
        nodePath,
        node,
        "must be a string"
            + (needsQuotes ? ": write " + Json.quote(Json.excerpt(node)) + " with quotes" : ""));
    return Optional.empty();
  }

  /** Returns a whole number from min to max; reports any other with the reason. */
  OptionalLong number(String key, long min, long max, String why) {
    JsonNode node = node(key);
    if (node == null) {
      return OptionalLong.empty();
    }
    if (!node.isIntegralNumber()) {
      boolean quoted = node.isString() && node.stringValue().matches("\\d{1,19}");
      refuse(
          key,
          "must be a whole number"
              + (quoted ? ": write " + node.stringValue() + ", no quotes" : ""));
    } else if (!node.canConvertToLong() || node.longValue() < min || node.longValue() > max) {
      refuse(key, why);
    } else {
      return OptionalLong.of(node.longValue());
    }
    return OptionalLong.empty();
  }

  Optional<StrictObject> object(String key) {
    JsonNode node = node(key);
    return node == null ? Optional.empty() : object(node, path(key));
  }

  private Optional<StrictObject> object(JsonNode node, String nodePath) {
    if (node instanceof ObjectNode object) {
      return Optional.of(new StrictObject(object, nodePath, problems));
    }
    problems.add(nodePath, node, "must be an object, such as {…}");
    return Optional.empty();
  }

  /** Returns a list of objects without those elements that are none; empty if it is absent. */
  List<StrictObject> objects(String key) {
    return list(key, "objects", this::object);
  }

  /**
   * Returns a list of strings without those elements that are none or are refused; empty if it is
   * absent.
   *
   * @param check returns why a string is refused
   */
  List<String> texts(String key, Function<String, Optional<String>> check) {
    return list(key, "strings", (node, nodePath) -> checked(node, nodePath, check));
  }

  private Optional<String> checked(
      JsonNode node, String nodePath, Function<String, Optional<String>> check) {
    Optional<String> text = text(node, nodePath);
    Optional<String> problem = text.flatMap(check);
    problem.ifPresent(why -> problems.add(nodePath, node, why));
    return problem.isPresent() ? Optional.empty() : text;
  }

  private <T> List<T> list(
      String key, String elements, BiFunction<JsonNode, String, Optional<T>> reader) {
    JsonNode node = node(key);
    if (node == null) {
      return List.of();
    }
    if (!(node instanceof ArrayNode array)) {
      refuse(key, "must be a list of " + elements + ", such as […]");
      return List.of();
    }
    List<T> values = new ArrayList<>(array.size());
    for (int i = 0; i < array.size(); i++) {
      reader.apply(array.get(i), path(key) + "[" + i + "]").ifPresent(values::add);
    }
    return values;
  }
}
