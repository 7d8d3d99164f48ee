package cni.runtime;

import static cni.runtime.Log.LOG;

import cni.api.CniException;
import cni.api.Names;
import cni.api.NetworkPlugin;
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
  /** A loader that finds nothing but mistakes has to end some time. */
  private static final int MOST_MISTAKES = 100;

  private final Map<String, Plugins.Available> byType = new TreeMap<>();
  private final List<Plugins.Disabled> disabled = new ArrayList<>();

  private BuiltInPlugins() {}

  /** Has them made. */
  static BuiltInPlugins load(ServiceLoader<NetworkPlugin> loader) {
    var plugins = new BuiltInPlugins();
    Iterator<NetworkPlugin> iterator = loader.iterator();
    while (plugins.disabled.size() < MOST_MISTAKES) {
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
          ContainedPlugin.isNeededFor(plugin) ? ContainedPlugin.of(plugin) : plugin;
      String type = Names.plugin(usable.type());
      var first = byType.putIfAbsent(type, new Plugins.Available(type, origin, usable));
      if (first != null) {
        disable(
            type, origin.toString(), "type " + type + " is already provided by " + first.origin());
      }
    } catch (CniException e) {
      disable("", origin.toString(), e.getMessage());
    }
  }

  private void disable(String name, String where, String why) {
    var it = new Plugins.Disabled(name, where, why);
    disabled.add(it);
    LOG.log(System.Logger.Level.WARNING, it.toString());
  }

  Optional<Plugins.Available> find(String type) {
    return Optional.ofNullable(byType.get(type));
  }

  /** By type, in alphabetical order. */
  Map<String, Plugins.Available> all() {
    return byType;
  }

  List<Plugins.Disabled> disabled() {
    return disabled;
  }
}
