// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import cni.api.Json;
import cni.api.SpecVersion;
import cni.api.Verb;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A request of the execution protocol, to be modified by copying.
 *
 * @param environment the CNI_* variables
 * @param config the configuration for standard input
 * @param rawInput the text to send instead of the configuration, for malformed input
 */
record ExecRequest(Map<String, String> environment, ObjectNode config, Optional<String> rawInput) {
  static ExecRequest of(Verb verb, Map<String, String> environment, ObjectNode config) {
    Map<String, String> all = new TreeMap<>(environment);
    all.put("CNI_COMMAND", verb.name());
    return new ExecRequest(all, config.deepCopy(), Optional.empty());
  }

  ExecRequest withVariable(String variable, String value) {
    Map<String, String> changed = new TreeMap<>(environment);
    changed.put(variable, value);
    return new ExecRequest(changed, config, rawInput);
  }

  ExecRequest withoutVariable(String variable) {
    Map<String, String> changed = new TreeMap<>(environment);
    changed.remove(variable);
    return new ExecRequest(changed, config, rawInput);
  }

  ExecRequest withKey(String key, JsonNode value) {
    ObjectNode changed = config.deepCopy();
    changed.set(key, value);
    return new ExecRequest(environment, changed, rawInput);
  }

  ExecRequest withKey(String key, String value) {
    ObjectNode changed = config.deepCopy();
    changed.put(key, value);
    return new ExecRequest(environment, changed, rawInput);
  }

  ExecRequest withoutKey(String key) {
    ObjectNode changed = config.deepCopy();
    changed.remove(key);
    return new ExecRequest(environment, changed, rawInput);
  }

  ExecRequest withVersion(SpecVersion version) {
    return withKey("cniVersion", version.toString());
  }

  ExecRequest withRawInput(String text) {
    return new ExecRequest(environment, config, Optional.of(text));
  }

  byte[] bytes() {
    return rawInput
        .map(text -> text.getBytes(StandardCharsets.UTF_8))
        .orElseGet(() -> Json.bytes(config));
  }
}
