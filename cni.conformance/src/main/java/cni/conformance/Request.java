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
 * A call of the execution protocol in the making.
 *
 * @param environment CNI_*
 * @param config the configuration
 * @param raw what is sent instead of it, if that is to be no configuration
 */
record Request(Map<String, String> environment, ObjectNode config, Optional<String> raw) {
  static Request of(Verb verb, Map<String, String> environment, ObjectNode config) {
    Map<String, String> all = new TreeMap<>(environment);
    all.put("CNI_COMMAND", verb.name());
    return new Request(all, config.deepCopy(), Optional.empty());
  }

  Request with(String variable, String value) {
    Map<String, String> changed = new TreeMap<>(environment);
    changed.put(variable, value);
    return new Request(changed, config, raw);
  }

  Request without(String variable) {
    Map<String, String> changed = new TreeMap<>(environment);
    changed.remove(variable);
    return new Request(changed, config, raw);
  }

  Request key(String key, JsonNode value) {
    ObjectNode changed = config.deepCopy();
    changed.set(key, value);
    return new Request(environment, changed, raw);
  }

  Request key(String key, String value) {
    ObjectNode changed = config.deepCopy();
    changed.put(key, value);
    return new Request(environment, changed, raw);
  }

  Request withoutKey(String key) {
    ObjectNode changed = config.deepCopy();
    changed.remove(key);
    return new Request(environment, changed, raw);
  }

  Request version(SpecVersion version) {
    return key("cniVersion", version.toString());
  }

  Request input(String text) {
    return new Request(environment, config, Optional.of(text));
  }

  byte[] bytes() {
    return raw.map(text -> text.getBytes(StandardCharsets.UTF_8))
        .orElseGet(() -> Json.bytes(config));
  }
}
