package cni.runtime;

import static java.util.Comparator.comparing;

import cni.api.CniException;
import cni.api.Delegates;
import cni.api.ErrorCode;
import cni.api.NetworkConfig;
import cni.api.NetworkPlugin;
import cni.api.PluginConfig;
import cni.api.PluginHost;
import cni.api.ResidentPlugin;
import cni.api.SpecVersion;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.exec.ExecutablePlugin;
import cni.exec.PluginPath;
import cni.exec.StderrHandler;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * The plugins that can be had, by type: those of the program itself, those in plugin directories,
 * and executables on the plugin path. The first place in the host's order that has one wins; for a
 * type for which the host wants a certain place, no other counts.
 */
public final class PluginRegistry implements Delegates {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  private final ServiceLoader<NetworkPlugin> loader;
  private final PluginDirectories directories;
  private final PluginPath path;
  private final List<PluginSource> order;
  private final Map<String, PluginSource> forced;
  private final StderrHandler stderrHandler;
  private volatile Optional<BuiltInPlugins> builtIn = Optional.empty();

  PluginRegistry(
      ServiceLoader<NetworkPlugin> loader,
      PluginDirectories directories,
      PluginPath path,
      List<PluginSource> order,
      Map<String, PluginSource> wanted,
      StderrHandler diagnostics) {
    this.loader = loader;
    this.directories = directories;
    this.path = path;
    this.order = List.copyOf(order);
    this.forced = Map.copyOf(wanted);
    this.stderrHandler = diagnostics;
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

  /** As {@link #find}, with the kind of place that it comes from. */
  ResolvedPlugin resolve(String type) throws CniException {
    for (PluginSource source : orderFor(type)) {
      Optional<AvailablePlugin> found = find(source, type);
      if (found.isPresent()) {
        AvailablePlugin it = found.get();
        return new ResolvedPlugin(new JfrPlugin(it.plugin(), it.origin()), source);
      }
    }
    throw unknownType(type);
  }

  private List<PluginSource> orderFor(String type) {
    PluginSource only = forced.get(type);
    return only == null ? order : List.of(only);
  }

  private Optional<AvailablePlugin> find(PluginSource source, String type) throws CniException {
    return switch (source) {
      case BUILT_IN -> builtIn().find(type);
      case DIRECTORY -> directories.find(type);
      case EXECUTABLE -> path.find(type).map(file -> executable(type, file));
    };
  }

  /**
   * The plugins of a network's chain, in the order of ADD.
   *
   * @throws CniException code 7 if there is no such plugin
   */
  List<ResolvedPlugin> chain(NetworkConfig config) throws CniException {
    List<ResolvedPlugin> chain = new ArrayList<>(config.plugins().size());
    for (PluginConfig plugin : config.plugins()) {
      chain.add(resolve(plugin.type()));
    }
    return chain;
  }

  /**
   * The plugin of the type that runs in this process: built in or from a plugin directory, whatever
   * executables there are.
   */
  public Optional<NetworkPlugin> findInProcess(String type) {
    return builtIn().find(type).or(() -> directories.find(type)).map(AvailablePlugin::plugin);
  }

  /**
   * The versions of the specification that the plugin of a type supports, oldest first (VERSION).
   *
   * @throws CniException code 7 if there is no such plugin, or the plugin's own failure to tell
   */
  public List<SpecVersion> versions(String type) throws CniException {
    return find(type).versions().stream().sorted().toList();
  }

  private AvailablePlugin executable(String type, Path file) {
    var plugin = new ExecutablePlugin(type, file, path, stderrHandler);
    return new AvailablePlugin(type, new PluginOrigin.Executable(file), plugin);
  }

  private CniException unknownType(String type) {
    List<PluginSource> searched = orderFor(type);
    List<String> where = new ArrayList<>();
    for (PluginSource source : searched) {
      where.add(
          switch (source) {
            case BUILT_IN ->
                "the host's own modules provide "
                    + (builtIn().all().isEmpty()
                        ? "none"
                        : String.join(", ", builtIn().all().keySet()));
            case DIRECTORY -> "there is no module for it in " + directories.roots();
            case EXECUTABLE ->
                path.directories().isEmpty()
                    ? "there is no plugin path (CNI_PATH) to look for an executable"
                    : "there is no executable of that name in " + path;
          });
    }
    String only =
        searched.size() == 1
            ? "only " + searched.getFirst() + " plugins are wanted for it, and "
            : "";
    return new CniException(
        ErrorCode.INVALID_CONFIG,
        "plugin type \""
            + type
            + "\" is not known: "
            + only
            + String.join("; ", where)
            + broken(type));
  }

  /** What might have provided it. */
  private String broken(String type) {
    StringBuilder text = new StringBuilder();
    for (DisabledPlugin it : disabled()) {
      if (it.name().equals(type) || it.name().isEmpty()) {
        text.append("; ").append(it);
      }
    }
    return text.toString();
  }

  /** Whether there is a plugin that might provide the type, if it were not broken. */
  boolean isBroken(String type) {
    return disabled().stream().anyMatch(it -> it.name().equals(type));
  }

  private BuiltInPlugins builtIn() {
    Optional<BuiltInPlugins> known = builtIn;
    return known.isPresent() ? known.get() : loadBuiltIn();
  }

  private synchronized BuiltInPlugins loadBuiltIn() {
    if (builtIn.isEmpty()) {
      builtIn = Optional.of(Uninterruptibly.get("cni plugins", () -> BuiltInPlugins.load(loader)));
    }
    return builtIn.orElseThrow();
  }

  /** Has plugins begin the work that they have between operations. */
  void start(PluginHost host) {
    for (AvailablePlugin it : builtIn().all().values()) {
      if (it.plugin() instanceof ResidentPlugin resident) {
        start(resident, host);
      }
    }
    directories.start(host);
  }

  static void start(ResidentPlugin plugin, PluginHost host) {
    try {
      plugin.start(host);
    } catch (CniException | RuntimeException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "plugin " + plugin.type() + " cannot take up its work between operations",
              e);
    }
  }

  /** Ends that work. */
  void stop() {
    if (builtIn.isPresent()) {
      for (AvailablePlugin it : builtIn.get().all().values()) {
        if (it.plugin() instanceof ResidentPlugin resident) {
          resident.stop();
        }
      }
    }
    directories.stop();
  }

  /**
   * Everything that can be had, in the order of types, each type with what serves it first.
   *
   * @throws CniException code 5 if a directory of executables cannot be read
   */
  public List<AvailablePlugin> list() throws CniException {
    Map<String, List<AvailablePlugin>> byType = new TreeMap<>();
    for (PluginSource source : order) {
      all(source).forEach(it -> byType.computeIfAbsent(it.type(), _ -> new ArrayList<>()).add(it));
    }
    forced.forEach(
        (type, source) -> {
          List<AvailablePlugin> all = byType.getOrDefault(type, new ArrayList<>());
          all.sort(comparing(it -> it.origin().source() != source)); // false comes first
        });
    return byType.values().stream().flatMap(List::stream).toList();
  }

  private Stream<AvailablePlugin> all(PluginSource source) throws CniException {
    try {
      return switch (source) {
        case BUILT_IN -> builtIn().all().values().stream();
        case DIRECTORY -> directories.list().stream();
        case EXECUTABLE ->
            path.list().entrySet().stream().map(it -> executable(it.getKey(), it.getValue()));
      };
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE,
          "the plugin path " + path + " cannot be read: " + IoErrors.describe(e),
          e);
    }
  }

  /** What is there, but cannot be used. */
  public List<DisabledPlugin> disabled() {
    return Stream.concat(builtIn().disabled().stream(), directories.disabled().stream()).toList();
  }

  /**
   * A plugin that can be had.
   *
   * @param type what configurations name it by
   * @param origin where it comes from
   * @param plugin itself
   */
  public record AvailablePlugin(String type, PluginOrigin origin, NetworkPlugin plugin) {}

  /**
   * A plugin that cannot be used.
   *
   * @param name of its directory, or its type; empty if neither is known
   * @param location it is
   * @param reason it cannot
   */
  public record DisabledPlugin(String name, String location, String reason) {
    @Override
    public String toString() {
      return "a plugin in " + location + " is disabled: " + reason;
    }
  }

  /**
   * A plugin that serves a type.
   *
   * @param plugin whose calls are recorded
   * @param source where it comes from
   */
  record ResolvedPlugin(NetworkPlugin plugin, PluginSource source) {
    /** Whether it is a module. */
    boolean inProcess() {
      return source != PluginSource.EXECUTABLE;
    }
  }
}
