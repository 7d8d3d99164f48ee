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
 * The plugins of the program itself: what a ServiceLoader finds. One that is broken is left out.
 */
final class BuiltInPlugins {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  /** A loader that finds nothing but mistakes has to end some time. */
  private static final int MAX_FAILURES = 100;

  private final Map<String, PluginRegistry.AvailablePlugin> byType = new TreeMap<>();
  private final List<PluginRegistry.DisabledPlugin> disabled = new ArrayList<>();

  private BuiltInPlugins() {}

  /** Has them made. */
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
      NetworkPlugin usable =
          IsolatedPlugin.isNeededFor(plugin) ? IsolatedPlugin.of(plugin) : plugin;
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

  private void disable(String name, String where, String why) {
    var it = new PluginRegistry.DisabledPlugin(name, where, why);
    disabled.add(it);
    LOG.get().log(System.Logger.Level.WARNING, it.toString());
  }

  Optional<PluginRegistry.AvailablePlugin> find(String type) {
    return Optional.ofNullable(byType.get(type));
  }

  /** By type, in alphabetical order. */
  Map<String, PluginRegistry.AvailablePlugin> all() {
    return byType;
  }

  List<PluginRegistry.DisabledPlugin> disabled() {
    return disabled;
  }
}
