package cni.runtime;

import cni.api.CniException;
import cni.api.Delegates;
import cni.api.ErrorCode;
import cni.api.NetworkConfig;
import cni.api.NetworkPlugin;
import cni.api.PluginConfig;
import cni.api.ResidentPlugin;
import cni.api.SpecVersion;
import cni.exec.Diagnostics;
import cni.exec.ExecutablePlugin;
import cni.exec.PluginPath;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeMap;

/**
 * The plugins that can be had, by type: modules, and executables on the plugin path. A module wins
 * over an executable of its type, unless the embedding program wants it otherwise.
 */
public final class Plugins implements Delegates {
  private static final System.Logger LOG = System.getLogger("cni.runtime");

  private final ServiceLoader<NetworkPlugin> loader;
  private final PluginPath path;
  private final Set<String> preferExecutables;
  private final Diagnostics diagnostics;
  private volatile Optional<Map<String, NetworkPlugin>> modules = Optional.empty();

  Plugins(
      ServiceLoader<NetworkPlugin> loader,
      PluginPath path,
      Set<String> preferExecutables,
      Diagnostics diagnostics) {
    this.loader = loader;
    this.path = path;
    this.preferExecutables = Set.copyOf(preferExecutables);
    this.diagnostics = diagnostics;
  }

  /**
   * {@inheritDoc}
   *
   * @throws CniException code 7 if there is no such plugin; the message says where it was looked
   *     for
   */
  @Override
  public NetworkPlugin find(String type) throws CniException {
    return resolve(type).plugin();
  }

  /** As {@link #find}, with where the plugin comes from. */
  Resolved resolve(String type) throws CniException {
    boolean preferExecutable = preferExecutables.contains(type);
    Optional<Available> module =
        Optional.ofNullable(modules().get(type))
            .map(plugin -> new Available(type, Optional.empty(), plugin));
    Optional<Available> found =
        module.isPresent() && !preferExecutable
            ? module
            : path.find(type).map(file -> executable(type, file));
    Available available = found.orElseThrow(() -> unknown(type));
    var recorded = new RecordedPlugin(available.plugin(), available.origin());
    return new Resolved(recorded, available.executable().isEmpty());
  }

  /**
   * The plugins of a network's chain, in the order of ADD.
   *
   * @throws CniException code 7 if there is no such plugin
   */
  List<Resolved> chain(NetworkConfig config) throws CniException {
    List<Resolved> chain = new ArrayList<>(config.plugins().size());
    for (PluginConfig plugin : config.plugins()) {
      chain.add(resolve(plugin.type()));
    }
    return chain;
  }

  /**
   * The plugin that a module provides for the type, whatever executables there are.
   *
   * @throws CniException code 999 if a module cannot be loaded
   */
  public Optional<NetworkPlugin> module(String type) throws CniException {
    return Optional.ofNullable(modules().get(type));
  }

  /**
   * The versions of the specification that the plugin of a type supports, oldest first (VERSION).
   *
   * @throws CniException code 7 if there is no such plugin, or the plugin's own failure to tell
   */
  public List<SpecVersion> versions(String type) throws CniException {
    return find(type).versions().stream().sorted().toList();
  }

  private Available executable(String type, Path file) {
    var plugin = new ExecutablePlugin(type, file, path, diagnostics);
    return new Available(type, Optional.of(file), plugin);
  }

  private CniException unknown(String type) {
    String where =
        path.directories().isEmpty()
            ? "there is no plugin path (CNI_PATH) to look for an executable"
            : "there is no executable of that name in " + path;
    return new CniException(
        ErrorCode.INVALID_CONFIG,
        "plugin type \""
            + type
            + "\" is not known: "
            + (preferExecutables.contains(type)
                ? "an executable is wanted for it, and "
                : "the modules provide "
                    + (modules.isEmpty() ? "none" : String.join(", ", modules.get().keySet()))
                    + ", and ")
            + where);
  }

  private Map<String, NetworkPlugin> modules() throws CniException {
    Optional<Map<String, NetworkPlugin>> known = modules;
    return known.isPresent() ? known.get() : loadModules();
  }

  private synchronized Map<String, NetworkPlugin> loadModules() throws CniException {
    if (modules.isEmpty()) {
      Map<String, NetworkPlugin> byType = new TreeMap<>();
      try {
        loader.forEach(plugin -> byType.putIfAbsent(plugin.type(), plugin));
      } catch (ServiceConfigurationError e) {
        throw new CniException(
            ErrorCode.INTERNAL, "a plugin module cannot be loaded: " + e.getMessage(), e);
      }
      modules = Optional.of(byType);
    }
    return modules.orElseThrow();
  }

  /** Has plugins begin the work that they have between operations. */
  void start(Path state) {
    try {
      for (NetworkPlugin plugin : modules().values()) {
        if (plugin instanceof ResidentPlugin resident) {
          start(resident, state);
        }
      }
    } catch (CniException e) { // whoever needs a module will be told
      LOG.log(System.Logger.Level.DEBUG, "no plugin could be started", e);
    }
  }

  private static void start(ResidentPlugin plugin, Path state) {
    try {
      plugin.start(state);
    } catch (CniException | RuntimeException e) {
      LOG.log(
          System.Logger.Level.WARNING,
          "plugin " + plugin.type() + " cannot take up its work between operations",
          e);
    }
  }

  /** Ends that work. */
  void stop() {
    for (NetworkPlugin plugin : modules.orElse(Map.of()).values()) {
      if (plugin instanceof ResidentPlugin resident) {
        resident.stop();
      }
    }
  }

  /**
   * Everything that can be had, in the order of types, each type with what serves it first.
   *
   * @throws CniException code 5 if a directory cannot be read, code 999 if a module cannot be
   *     loaded
   */
  public List<Available> list() throws CniException {
    Map<String, List<Available>> byType = new TreeMap<>();
    try {
      for (NetworkPlugin plugin : modules().values()) {
        add(byType, new Available(plugin.type(), Optional.empty(), plugin));
      }
      path.list().forEach((type, file) -> add(byType, executable(type, file)));
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, "the plugin path " + path + " cannot be read: " + e, e);
    }
    preferExecutables.forEach(
        type -> {
          List<Available> both = byType.getOrDefault(type, List.of());
          if (both.size() > 1) {
            both.addLast(both.removeFirst());
          }
        });
    return byType.values().stream().flatMap(List::stream).toList();
  }

  private static void add(Map<String, List<Available>> byType, Available available) {
    byType.computeIfAbsent(available.type(), type -> new ArrayList<>()).add(available);
  }

  /**
   * A plugin that can be had.
   *
   * @param type what configurations name it by
   * @param executable the file, for one that is not a module
   * @param plugin itself
   */
  public record Available(String type, Optional<Path> executable, NetworkPlugin plugin) {
    /** Where it comes from: the module's name or the file's path. */
    public String origin() {
      if (executable.isPresent()) {
        return executable.get().toString();
      }
      Module module = plugin.getClass().getModule();
      return "module " + (module.isNamed() ? module.getName() : plugin.getClass().getPackageName());
    }
  }

  /**
   * A plugin that serves a type.
   *
   * @param plugin whose calls are recorded
   * @param module whether it is a module
   */
  record Resolved(NetworkPlugin plugin, boolean module) {}
}
