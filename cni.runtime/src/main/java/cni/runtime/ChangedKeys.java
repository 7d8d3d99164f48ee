// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.api.PluginConfig;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The keys whose values differ between the current and the desired configuration of a plugin, and
 * which of them it cannot change.
 */
final class ChangedKeys {
  private static final String IPAM = "ipam";
  private static final String RUNTIME_CONFIG = "runtimeConfig";

  private static final String ARGS = "args";

  /** Keys whose parts are compared one by one. */
  private static final Set<String> WITH_PARTS = Set.of(IPAM, RUNTIME_CONFIG, ARGS, ARGS + ".cni");

  /** Keys that the runtime sets; a change of the version needs no change of the attachment. */
  private static final Set<String> IGNORED = Set.of("cniVersion", "name");

  private ChangedKeys() {}

  /**
   * Returns the keys that differ, as paths: those within {@code ipam}, {@code runtimeConfig} and
   * {@code args} one by one.
   */
  static Set<String> between(PluginConfig current, PluginConfig desired) {
    Set<String> changed = new TreeSet<>();
    addChanged("", current.json(), desired.json(), changed);
    changed.removeAll(IGNORED);
    return changed;
  }

  private static void addChanged(
      String prefix, ObjectNode current, ObjectNode desired, Set<String> changed) {
    Set<String> keys = new HashSet<>(current.propertyNames());
    keys.addAll(desired.propertyNames());
    for (String key : keys) {
      JsonNode before = current.path(key);
      JsonNode after = desired.path(key);
      if (!before.equals(after)) {
        if (WITH_PARTS.contains(prefix + key)) {
          addChanged(prefix + key + ".", object(before), object(after), changed);
        } else {
          changed.add(prefix + key);
        }
      }
    }
  }

  private static ObjectNode object(JsonNode node) {
    return node instanceof ObjectNode object ? object : Json.object();
  }

  /**
   * Returns those of the changed keys that neither the plugin nor its ipam plugin can change.
   *
   * @param plugin the plugin
   * @param desired its desired configuration
   * @param plugins finds the ipam plugin
   */
  static List<String> unchangeable(
      Set<String> changed, NetworkPlugin plugin, PluginConfig desired, PluginRegistry plugins)
      throws CniException {
    Set<String> own = changeableKeys(plugin);
    Optional<String> ipamType = desired.ipamType();
    Set<String> ipam =
        ipamType.isPresent() && !changed.contains(IPAM + ".type")
            ? changeableKeys(plugins.find(ipamType.get()))
            : Set.of();
    List<String> refused = new ArrayList<>();
    for (String key : changed) {
      boolean ofIpam =
          Set.of(IPAM, RUNTIME_CONFIG, ARGS).stream().anyMatch(it -> key.startsWith(it + "."));
      if (!includes(own, key) && !(ofIpam && includes(ipam, key))) {
        refused.add(key);
      }
    }
    return refused;
  }

  private static Set<String> changeableKeys(NetworkPlugin plugin) {
    return plugin.updatable().map(it -> it.changeableKeys()).orElse(Set.of());
  }

  private static boolean includes(Set<String> paths, String key) {
    return paths.contains(key) || paths.stream().anyMatch(path -> key.startsWith(path + "."));
  }
}
