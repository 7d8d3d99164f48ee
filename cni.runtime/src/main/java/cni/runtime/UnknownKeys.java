// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.ConfigRecorder;
import cni.api.Json;
import cni.api.internal.Suggestions;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Finds the keys of a configuration that nothing reads. Objects that were not opened, or read as a
 * whole, are not judged. Where more may be read than was recorded, only a key that resembles one
 * that is read is reported.
 */
final class UnknownKeys {
  /**
   * The keys that every plugin's configuration may have, as the specification (section 1) and
   * CONVENTIONS.md define them, whether the plugin reads them or not.
   */
  private static final Set<String> COMMON =
      Set.of(
          "name",
          "cniVersion",
          "type",
          "args",
          "runtimeConfig",
          "capabilities",
          "prevResult",
          "ipMasq",
          "ipam",
          "dns");

  /** The sections whose keys are also for the other plugins of the chain, or from the runtime. */
  private static final Set<String> NOT_JUDGED = Set.of("args", "runtimeConfig");

  private final ConfigRecorder recorder;
  private final String root;
  private final boolean isComplete;
  private final ConfigFindings findings;

  /**
   * Prepares the search.
   *
   * @param root the path of the plugin's configuration
   * @param isComplete whether all that is read of it has been recorded
   */
  UnknownKeys(ConfigRecorder recorder, String root, boolean isComplete, ConfigFindings findings) {
    this.recorder = recorder;
    this.root = root;
    this.isComplete = isComplete;
    this.findings = findings;
  }

  /** Reports the unknown keys of the plugin's configuration. */
  void report(ObjectNode json) {
    report(json, root, isComplete);
  }

  /** Reports the unknown keys of a network's configuration, without those of its plugins. */
  void reportTop(ObjectNode json) {
    for (Map.Entry<String, JsonNode> entry : json.properties()) {
      String key = entry.getKey();
      if (!containsIgnoringCase(recorder.reads(root), key) && !isCommon(root, key)) {
        report(root, key, entry.getValue(), recorder.reads(root), isComplete);
      }
    }
  }

  private void report(ObjectNode json, String path, boolean parentIsComplete) {
    Set<String> read = recorder.reads(path);
    if (read.isEmpty() || recorder.isReadWhole(path)) {
      return;
    }
    boolean complete = parentIsComplete && !recorder.isHidden(path);
    for (Map.Entry<String, JsonNode> entry : json.properties()) {
      String key = entry.getKey();
      JsonNode value = entry.getValue();
      if (path.equals(root) && NOT_JUDGED.contains(key)) {
        continue;
      }
      if (path.equals(root + ".ipam") && key.equals("type")) {
        continue; // an ipam plugin that is used alone does not read its own type
      }
      if (containsIgnoringCase(read, key)) {
        reportInside(value, path + "." + key, complete);
      } else if (!value.isNull() && !isCommon(path, key) && !isComment(key)) {
        report(path, key, value, read, complete);
      }
    }
  }

  private void reportInside(JsonNode value, String path, boolean complete) {
    if (value instanceof ObjectNode object) {
      report(object, path, complete);
    } else if (value instanceof ArrayNode array) {
      for (int i = 0; i < array.size(); i++) {
        reportInside(array.get(i), path + "[" + i + "]", complete);
      }
    }
  }

  private void report(
      String path, String key, JsonNode value, Collection<String> read, boolean complete) {
    List<String> candidates = new ArrayList<>(read);
    if (path.equals(root)) {
      candidates.addAll(COMMON);
    }
    candidates.removeIf(it -> it.indexOf('[') >= 0);
    Optional<String> suggestion = Suggestions.didYouMean(key, candidates);
    if (suggestion.isPresent() || complete) {
      findings.warning(
          path.isEmpty() ? key : path + "." + key,
          Json.excerpt(value),
          "is not a known key: "
              + suggestion.orElseGet(() -> "known are " + String.join(", ", new TreeSet<>(read))));
    }
  }

  private boolean isCommon(String path, String key) {
    return path.equals(root) && containsIgnoringCase(COMMON, key);
  }

  /** JSON has no comments; these keys are the usual substitutes. */
  private static boolean isComment(String key) {
    return key.startsWith("_") || key.startsWith("//") || key.startsWith("#");
  }

  private static boolean containsIgnoringCase(Collection<String> names, String name) {
    return names.stream().anyMatch(name::equalsIgnoreCase);
  }
}
