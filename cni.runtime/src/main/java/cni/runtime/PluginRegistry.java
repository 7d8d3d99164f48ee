// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Comparator.comparing;
import static java.util.Objects.requireNonNull;
import static java.util.stream.Collectors.joining;

import cni.api.CniException;
import cni.api.Delegates;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.NetworkConfig;
import cni.api.NetworkPlugin;
import cni.api.PluginConfig;
import cni.api.PluginHost;
import cni.api.ResidentPlugin;
import cni.api.SpecVersion;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.api.internal.Suggestions;
import cni.api.internal.Uninterruptibly;
import cni.exec.CallerContext;
import cni.exec.ExecutablePlugin;
import cni.exec.PluginPath;
import cni.exec.StderrHandler;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * The available plugins by type, from three sources: modules of the program itself, plugin
 * directories, and executables on the plugin path. The first source in the search order that has a
 * type provides it, unless {@link CniBuilder#forceSource} names the only one to use.
 */
public final class PluginRegistry implements Delegates {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  private final PluginInstances instances;
  private final ServiceLoader<NetworkPlugin> loader;
  private final PluginDirectories directories;
  private final PluginPath path;
  private final List<PluginSource> searchOrder;
  private final Map<String, PluginSource> forced;
  private final StderrHandler stderrHandler;
  private final Optional<CallerContext> caller;

  /** The registry whose plugin instances this one uses; absent if it creates its own. */
  private final Optional<PluginRegistry> shared;

  /** Receives the calls of the plugins that this registry returns; absent if nothing does. */
  private final Optional<PluginCallObserver> observer;

  private volatile Optional<BuiltInPlugins> builtIn = Optional.empty();

  PluginRegistry(
      PluginInstances instances,
      ServiceLoader<NetworkPlugin> loader,
      PluginDirectories directories,
      PluginPath path,
      List<PluginSource> searchOrder,
      Map<String, PluginSource> forced,
      StderrHandler stderrHandler,
      Optional<CallerContext> caller,
      Optional<PluginRegistry> shared,
      Optional<PluginCallObserver> observer) {
    this.instances = instances;
    this.loader = loader;
    this.caller = caller;
    this.shared = shared;
    this.observer = observer;
    this.directories =
        shared.map(it -> it.directories).filter(directories::isEquivalentTo).orElse(directories);
    this.path = path;
    this.searchOrder = List.copyOf(searchOrder);
    this.forced = Map.copyOf(forced);
    this.stderrHandler = stderrHandler;
  }

  /**
   * {@inheritDoc}
   *
   * @throws CniException code 7 if there is no such plugin; the message lists where it was searched
   *     for, and disabled plugins that may have provided it
   */
  @Override
  public NetworkPlugin find(String type) throws CniException {
    requireNonNull(type, "type");
    return resolve(type).plugin();
  }

  /** Finds a plugin as {@link #find} does, and returns it with its source. */
  ResolvedPlugin resolve(String type) throws CniException {
    for (PluginSource source : sourcesOf(type)) {
      Optional<AvailablePlugin> found = find(source, type);
      if (found.isPresent()) {
        AvailablePlugin it = found.get();
        return new ResolvedPlugin(observed(new JfrPlugin(it.plugin(), it.origin())), source);
      }
    }
    throw unknownType(type);
  }

  private NetworkPlugin observed(NetworkPlugin plugin) {
    return observer.isPresent() ? new ObservedPlugin(plugin, observer.get()) : plugin;
  }

  private List<PluginSource> sourcesOf(String type) {
    PluginSource only = forced.get(type);
    if (only == null && hasInstance(type)) {
      only = PluginSource.BUILT_IN;
    }
    return only == null ? searchOrder : List.of(only);
  }

  private Optional<AvailablePlugin> find(PluginSource source, String type) throws CniException {
    return switch (source) {
      case BUILT_IN -> findBuiltIn(type);
      case DIRECTORY -> directories.find(type);
      case EXECUTABLE -> path.find(type).map(file -> executable(type, file));
    };
  }

  private boolean hasInstance(String type) {
    return instances.has(type) || (shared.isPresent() && shared.get().hasInstance(type));
  }

  private Optional<AvailablePlugin> findBuiltIn(String type) {
    Optional<AvailablePlugin> instance = instances.find(type);
    if (instance.isPresent()) {
      return instance;
    }
    return shared.isPresent() ? shared.get().findBuiltIn(type) : builtIn().find(type);
  }

  /** Returns the instances that the program passed, and what its modules provide beside them. */
  private Collection<AvailablePlugin> allBuiltIn() {
    return instances.before(
        shared.isPresent() ? shared.get().allBuiltIn() : builtIn().all().values());
  }

  /**
   * Returns the plugins of a network's chain, in the order of ADD.
   *
   * @throws CniException code 7 if one does not exist
   */
  List<ResolvedPlugin> resolveChain(NetworkConfig config) throws CniException {
    List<ResolvedPlugin> chain = new ArrayList<>(config.plugins().size());
    for (PluginConfig plugin : config.plugins()) {
      chain.add(resolve(plugin.type()));
    }
    return chain;
  }

  /**
   * Returns the plugin of a type that runs in this process, built in or from a plugin directory,
   * regardless of executables and of the search order; absent if there is none.
   */
  public Optional<NetworkPlugin> findInProcess(String type) {
    requireNonNull(type, "type");
    return findBuiltIn(type).or(() -> directories.find(type)).map(it -> observed(it.plugin()));
  }

  /**
   * Returns a file of the module that provides the plugin of a type in this process, as {@link
   * #findInProcess} finds it.
   *
   * @param path the path of the file in the module's jar, in a directory that is not a package,
   *     such as {@code META-INF}
   * @return absent if there is no such plugin, or no such file in its module
   * @throws CniException code 5 if it cannot be read
   */
  public Optional<byte[]> resource(String type, String path) throws CniException {
    requireNonNull(type, "type");
    requireNonNull(path, "path");
    Optional<NetworkPlugin> plugin = findInProcess(type);
    if (plugin.isEmpty()) {
      return Optional.empty();
    }
    Class<?> implementation =
        plugin.get() instanceof IsolatedPlugin isolated
            ? isolated.implementation()
            : plugin.get().getClass();
    Module module = implementation.getModule();
    try (InputStream in =
        module.isNamed()
            ? module.getResourceAsStream(path)
            : implementation.getClassLoader().getResourceAsStream(path)) {
      return in == null ? Optional.empty() : Optional.of(in.readAllBytes());
    } catch (IOException e) {
      throw IoErrors.failure("reading " + path + " of plugin " + type, e);
    }
  }

  /**
   * Returns the executable of a type on the plugin path, regardless of modules and of the search
   * order; absent if there is none.
   *
   * @throws CniException code 7 if the type cannot be a file's name
   */
  public Optional<NetworkPlugin> findExecutable(String type) throws CniException {
    requireNonNull(type, "type");
    Optional<AvailablePlugin> found = find(PluginSource.EXECUTABLE, type);
    return found.map(it -> observed(it.plugin()));
  }

  /**
   * Returns the versions of the specification that the plugin of a type supports, oldest first
   * (VERSION). Runs it if it is an executable.
   *
   * @throws CniException code 7 if there is no such plugin; its own error if it cannot report them
   */
  public List<SpecVersion> versions(String type) throws CniException {
    requireNonNull(type, "type");
    return find(type).versions().stream().sorted().toList();
  }

  private AvailablePlugin executable(String type, Path file) {
    var plugin = new ExecutablePlugin(type, file, path, stderrHandler, caller);
    return new AvailablePlugin(type, new PluginOrigin.Executable(file), plugin);
  }

  private CniException unknownType(String type) {
    List<PluginSource> sources = sourcesOf(type);
    if (isDisabled(type) && !sources.equals(List.of(PluginSource.EXECUTABLE))) {
      return new CniException(ErrorCode.INVALID_CONFIG, describeDisabled(type));
    }
    String only =
        sources.size() == 1
            ? "only " + sources.getFirst() + " plugins are allowed for it, and "
            : "";
    String searched = sources.stream().map(this::describeSearch).collect(joining("; "));
    return new CniException(
        ErrorCode.INVALID_CONFIG,
        "plugin type \"%s\" is not known%s: %s%s%s"
            .formatted(type, suggestion(type), only, searched, describeUnnamedDisabled()));
  }

  /** Returns why the plugins that are known to provide a type are disabled. */
  private String describeDisabled(String type) {
    return disabled().stream()
        .filter(it -> it.name().equals(type))
        .map(it -> "plugin %s in %s is disabled: %s".formatted(type, it.location(), it.reason()))
        .collect(joining("; "));
  }

  private String suggestion(String type) {
    try {
      List<String> known = list().stream().map(AvailablePlugin::type).distinct().toList();
      return Suggestions.didYouMean(type, known, Json::quote).map(it -> " (" + it + ")").orElse("");
    } catch (CniException e) {
      return ""; // a directory that cannot be read
    }
  }

  /** Describes where a source was searched without success, as a clause of a message. */
  private String describeSearch(PluginSource source) {
    return switch (source) {
      case BUILT_IN ->
          "the host's own modules provide "
              + (builtIn().all().isEmpty() ? "none" : String.join(", ", builtIn().all().keySet()));
      case DIRECTORY ->
          directories.roots().isEmpty()
              ? "there is no plugin directory to look for a module"
              : "there is no module for it in "
                  + directories.roots().stream().map(Path::toString).collect(joining(", "));
      case EXECUTABLE ->
          path.directories().isEmpty()
              ? "there is no plugin path (CNI_PATH) to look for an executable"
              : "there is no executable of that name in " + path;
    };
  }

  /**
   * Returns the disabled plugins that may have provided any type, because they could not report it,
   * as further clauses of a message.
   */
  private String describeUnnamedDisabled() {
    StringBuilder text = new StringBuilder();
    for (DisabledPlugin it : disabled()) {
      if (it.name().isEmpty()) {
        text.append("; ").append(it);
      }
    }
    return text.toString();
  }

  /**
   * Returns whether a disabled plugin is known to provide the type, by its type or its directory's
   * name.
   */
  boolean isDisabled(String type) {
    return disabled().stream().anyMatch(it -> it.name().equals(type));
  }

  private BuiltInPlugins builtIn() {
    if (shared.isPresent()) {
      return shared.get().builtIn();
    }
    Optional<BuiltInPlugins> known = builtIn;
    return known.isPresent() ? known.get() : loadBuiltIn();
  }

  private synchronized BuiltInPlugins loadBuiltIn() {
    if (builtIn.isEmpty()) {
      builtIn = Optional.of(Uninterruptibly.get("cni plugins", () -> BuiltInPlugins.load(loader)));
    }
    return builtIn.orElseThrow();
  }

  /** Starts the work of resident plugins between operations. */
  void start(PluginHost host) {
    for (AvailablePlugin it : allBuiltIn()) {
      if (it.plugin() instanceof ResidentPlugin resident) {
        start(resident, host);
      }
    }
    directories.start(host);
  }

  /** Starts a resident plugin; a failure is logged, as its calls are served all the same. */
  static void start(ResidentPlugin plugin, PluginHost host) {
    try {
      plugin.start(host);
    } catch (CniException | RuntimeException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "plugin " + plugin.type() + " cannot start its work between operations",
              e);
    }
  }

  /** Stops the work of resident plugins, except for shared ones. */
  void stop() {
    Collection<AvailablePlugin> loaded =
        builtIn.isPresent() ? builtIn.get().all().values() : List.of();
    for (AvailablePlugin it : instances.before(loaded)) {
      if (it.plugin() instanceof ResidentPlugin resident) {
        resident.stop();
      }
    }
    if (shared.isEmpty() || !shared.get().directories.equals(directories)) {
      directories.stop();
    }
  }

  /**
   * Returns all available plugins, sorted by type. Of several with the same type, the one that is
   * used comes first.
   *
   * @throws CniException code 5 if a directory of executables cannot be read
   */
  public List<AvailablePlugin> list() throws CniException {
    Map<String, List<AvailablePlugin>> byType = new TreeMap<>();
    for (PluginSource source : searchOrder) {
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
        case BUILT_IN -> allBuiltIn().stream();
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

  /** Returns the plugins that are present but cannot be used. */
  public List<DisabledPlugin> disabled() {
    return Stream.concat(builtIn().disabled().stream(), directories.disabled().stream()).toList();
  }

  /**
   * A plugin that can be used.
   *
   * @param type the type that configurations name it by
   * @param origin the module, directory or executable that provides it
   * @param plugin the plugin itself, whose calls are not recorded
   */
  public record AvailablePlugin(String type, PluginOrigin origin, NetworkPlugin plugin) {
    /** Checks that no argument is null. */
    public AvailablePlugin {
      requireNonNull(type, "type");
      requireNonNull(origin, "origin");
      requireNonNull(plugin, "plugin");
    }
  }

  /**
   * A plugin that cannot be used. Its text form is a sentence for display.
   *
   * @param name the name of its directory, or its type; empty if neither is known
   * @param location its directory, or a description of its module
   * @param reason why it cannot be used
   */
  public record DisabledPlugin(String name, String location, String reason) {
    /** Checks that no argument is null. */
    public DisabledPlugin {
      requireNonNull(name, "name");
      requireNonNull(location, "location");
      requireNonNull(reason, "reason");
    }

    @Override
    public String toString() {
      return "a plugin in " + location + " is disabled: " + reason;
    }
  }

  /**
   * The plugin that serves a type.
   *
   * @param plugin the plugin, whose calls are recorded by Java Flight Recorder
   * @param source the kind of its origin: built-in, directory or executable
   */
  record ResolvedPlugin(NetworkPlugin plugin, PluginSource source) {
    /** Returns whether the plugin is a module, not an executable. */
    boolean isInProcess() {
      return source != PluginSource.EXECUTABLE;
    }
  }
}
