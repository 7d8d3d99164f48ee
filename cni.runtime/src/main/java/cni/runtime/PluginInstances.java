// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import cni.api.Names;
import cni.api.NetworkPlugin;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The plugins that a program passes to {@link CniBuilder#plugins} as objects. They win over all
 * other plugins of their types.
 */
final class PluginInstances {
  private static final PluginInstances NONE = new PluginInstances(Map.of());

  private final Map<String, PluginRegistry.AvailablePlugin> byType;

  private PluginInstances(Map<String, PluginRegistry.AvailablePlugin> byType) {
    this.byType = byType;
  }

  /**
   * Asks the plugins for their types.
   *
   * @throws IllegalArgumentException if one cannot report its type or versions, if its type is
   *     malformed, and if two have the same type
   */
  static PluginInstances of(List<NetworkPlugin> plugins) {
    if (plugins.isEmpty()) {
      return NONE;
    }
    Map<String, PluginRegistry.AvailablePlugin> byType = new LinkedHashMap<>();
    for (NetworkPlugin plugin : plugins) {
      PluginRegistry.AvailablePlugin available = available(plugin);
      if (byType.putIfAbsent(available.type(), available) != null) {
        throw new IllegalArgumentException(
            "two plugins have the type " + available.type() + ": give each its own");
      }
    }
    return new PluginInstances(byType);
  }

  private static PluginRegistry.AvailablePlugin available(NetworkPlugin plugin) {
    try {
      NetworkPlugin usable = PluginTrust.isTrusted(plugin) ? plugin : IsolatedPlugin.of(plugin);
      String type = Names.requirePluginType(usable.type());
      return new PluginRegistry.AvailablePlugin(type, PluginOrigin.BuiltIn.of(plugin), usable);
    } catch (CniException e) {
      throw new IllegalArgumentException(
          "plugin " + plugin.getClass().getName() + " cannot be used: " + e.getMessage(), e);
    }
  }

  /** Returns whether one of them has a type. */
  boolean has(String type) {
    return byType.containsKey(type);
  }

  /** Returns the plugin of a type; absent if there is none. */
  Optional<PluginRegistry.AvailablePlugin> find(String type) {
    return Optional.ofNullable(byType.get(type));
  }

  /** Returns these plugins and those of the others that have another type. */
  Collection<PluginRegistry.AvailablePlugin> before(
      Collection<PluginRegistry.AvailablePlugin> others) {
    if (byType.isEmpty()) {
      return others;
    }
    List<PluginRegistry.AvailablePlugin> all = new ArrayList<>(byType.values());
    for (PluginRegistry.AvailablePlugin other : others) {
      if (!has(other.type())) {
        all.add(other);
      }
    }
    return all;
  }
}
