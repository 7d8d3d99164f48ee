// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import cni.api.Names;
import cni.api.NetworkPlugin;
import cni.api.internal.LazyLogger;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.TreeMap;

/**
 * The plugins that a {@link ServiceLoader} provides, by default those of the program itself. A
 * broken one is left out and reported as disabled.
 */
final class BuiltInPlugins {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  /** How many providers may fail; a loader may report the same failure without end. */
  private static final int MAX_FAILURES = 100;

  private final Map<String, PluginRegistry.AvailablePlugin> byType = new TreeMap<>();
  private final List<PluginRegistry.DisabledPlugin> disabled = new ArrayList<>();

  private BuiltInPlugins() {}

  /**
   * Returns a loader that uses the class loader of this class. It is new for each {@link Cni},
   * because resident plugins have state that instances cannot share.
   */
  static ServiceLoader<NetworkPlugin> defaultLoader() {
    return ServiceLoader.load(NetworkPlugin.class, BuiltInPlugins.class.getClassLoader());
  }

  /** Instantiates all plugins of the loader. */
  static BuiltInPlugins load(ServiceLoader<NetworkPlugin> loader) {
    var plugins = new BuiltInPlugins();
    Iterator<NetworkPlugin> iterator = loader.iterator();
    while (plugins.disabled.size() < MAX_FAILURES) {
      try {
        if (!iterator.hasNext()) {
          break;
        }
        plugins.add(iterator.next());
      } catch (ServiceConfigurationError | LinkageError e) {
        String cause = e.getCause() == null ? "" : ": " + e.getCause();
        plugins.disable("", "a module of the host", e.getMessage() + cause);
      }
    }
    return plugins;
  }

  private void add(NetworkPlugin plugin) {
    PluginOrigin origin = PluginOrigin.BuiltIn.of(plugin);
    try {
      NetworkPlugin usable = PluginTrust.isTrusted(plugin) ? plugin : IsolatedPlugin.of(plugin);
      String type = Names.requirePluginType(usable.type());
      var first =
          byType.putIfAbsent(type, new PluginRegistry.AvailablePlugin(type, origin, usable));
      if (first != null) {
        disable(
            type, origin.toString(), "type " + type + " is already provided by " + first.origin());
      }
    } catch (CniException e) {
      disable("", origin.toString(), e.getMessage());
    }
  }

  private void disable(String name, String location, String reason) {
    var it = new PluginRegistry.DisabledPlugin(name, location, reason);
    disabled.add(it);
    LOG.get().log(System.Logger.Level.WARNING, it.toString());
  }

  /** Returns the plugin of a type; absent if there is none. */
  Optional<PluginRegistry.AvailablePlugin> find(String type) {
    return Optional.ofNullable(byType.get(type));
  }

  /** Returns all plugins by type, in alphabetical order. */
  Map<String, PluginRegistry.AvailablePlugin> all() {
    return byType;
  }

  /** Returns the plugins that cannot be used. */
  List<PluginRegistry.DisabledPlugin> disabled() {
    return disabled;
  }
}
