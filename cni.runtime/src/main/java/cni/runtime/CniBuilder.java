// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Objects.requireNonNull;

import cni.api.NetworkPlugin;
import cni.api.PluginDaemon;
import cni.api.TraceContext;
import cni.api.internal.NullChecks;
import cni.exec.CallerContext;
import cni.exec.StderrHandler;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.Set;

/**
 * The options of a {@link Cni}; {@link Cni#builder} creates one. Each method returns the builder
 * itself. A further call of a method replaces the value, or, for {@link #forceSource} and {@link
 * #forceExecutables}, the source of the types that it names.
 */
public final class CniBuilder {
  Path networks = Cni.DEFAULT_NETWORKS;
  List<Path> executables = List.of(Cni.DEFAULT_EXECUTABLES);
  Path cache = Cni.DEFAULT_CACHE;
  Optional<Path> hostNamespace = Optional.empty();
  boolean allowHostNamespace;
  boolean oneShot;
  boolean runsDaemons;
  boolean repairs;
  Duration timeout = Duration.ofMinutes(2);
  TraceContext trace = TraceContext.NONE;
  List<NetworkPlugin> plugins = List.of();
  Optional<ServiceLoader<NetworkPlugin>> pluginLoader = Optional.empty();
  List<Path> pluginDirectories = List.of(Cni.DEFAULT_PLUGIN_DIRECTORY);
  Set<String> nativeAccess = Set.of();
  boolean allowUntrustedPlugins;
  List<PluginSource> searchOrder = PluginSource.DEFAULT_ORDER;
  final Map<String, PluginSource> forced = new HashMap<>();
  StderrHandler stderrHandler = StderrHandler.TO_LOG;
  Optional<CallerContext> caller = Optional.empty();
  Optional<Cni> shared = Optional.empty();
  Optional<PluginCallObserver> pluginCallObserver = Optional.empty();

  CniBuilder() {}

  /**
   * Sets the directory of network configurations; by default {@code /etc/cni/net.d}. It need not
   * exist if networks are only used by file or parsed configuration.
   */
  public CniBuilder networks(Path directory) {
    networks = requireNonNull(directory, "directory");
    return this;
  }

  /**
   * Sets the directories of plugin executables (CNI_PATH), searched in this order; by default
   * {@code /opt/cni/bin}. Without arguments, no executables are used.
   */
  public CniBuilder executables(Path... directories) {
    return executables(List.of(NullChecks.requireElements(directories, "directories")));
  }

  /** Sets the directories of plugin executables, as {@link #executables(Path...)}. */
  public CniBuilder executables(List<Path> directories) {
    executables = List.copyOf(NullChecks.requireElements(directories, "directories"));
    return this;
  }

  /**
   * Sets the cache directory; by default {@code /var/lib/cni}. It holds the results of ADD in
   * libcni's format, lock files, and the state of plugins. It is created when it is first written
   * to.
   */
  public CniBuilder cache(Path directory) {
    cache = requireNonNull(directory, "directory");
    return this;
  }

  /**
   * Sets the network namespace in which plugins do the host's side of their work, as a path such as
   * {@code /run/netns/host}; by default the namespace of this process.
   */
  public CniBuilder hostNamespace(Path path) {
    hostNamespace = Optional.of(requireNonNull(path, "path"));
    return this;
  }

  /**
   * Accepts an attachment whose namespace is the host's (CNI_NETNS_OVERRIDE), which is otherwise
   * refused with code 8 because it is almost always a mistake.
   */
  public CniBuilder allowHostNamespace() {
    allowHostNamespace = true;
    return this;
  }

  /**
   * Declares that this process ends after an operation or two. Plugins then leave work between
   * operations, such as renewing leases, to a daemon, and no files are kept for reuse.
   */
  public CniBuilder oneShot() {
    oneShot = true;
    return this;
  }

  /**
   * Declares that this process also runs the {@link PluginDaemon} of each plugin, for callers that
   * run executables. Plugins then leave work between operations, such as renewing leases, to these
   * daemons, which the caller starts.
   */
  public CniBuilder runsDaemons() {
    runsDaemons = true;
    return this;
  }

  /**
   * Repairs attachments by itself, as {@link Network#repair} does, soon after the kernel notifies
   * of a change: a flushed ruleset is complete again within a second. Attachments of all networks
   * in the cache are repaired, whichever process added them. {@link Cni#onEvent} reports what was
   * repaired, and that something keeps removing it; the next attempt then waits longer each time.
   */
  public CniBuilder repair() {
    repairs = true;
    return this;
  }

  /**
   * Sets how long one operation may take, waiting for locks included; by default two minutes. An
   * operation that takes longer fails with code 11. The rollback of a failed ADD has additional
   * time.
   */
  public CniBuilder timeout(Duration time) {
    timeout = requireNonNull(time, "time");
    return this;
  }

  /**
   * Sets the trace that operations belong to unless {@link Network#withTrace} sets another. By
   * default executables inherit the trace variables of this process's environment.
   */
  public CniBuilder trace(TraceContext context) {
    trace = requireNonNull(context, "context");
    return this;
  }

  /**
   * Sets plugins that are objects of this program, such as fakes in a unit test. They are used for
   * their types instead of any other plugin, unless {@link #forceSource} says otherwise. Their
   * source is {@link PluginSource#BUILT_IN}. A resident one is started and stopped with the
   * instance that is built.
   */
  public CniBuilder plugins(NetworkPlugin... instances) {
    plugins = List.of(NullChecks.requireElements(instances, "instances"));
    return this;
  }

  /**
   * Sets the loader of built-in plugins; by default one that finds the modules or jars that the
   * program was started with. A plugin from another class loader than this library's is called in
   * isolation, as one from a plugin directory.
   */
  public CniBuilder pluginLoader(ServiceLoader<NetworkPlugin> loader) {
    pluginLoader = Optional.of(requireNonNull(loader, "loader"));
    return this;
  }

  /**
   * Sets the plugin directories; by default {@code /opt/cni/modules}. Each holds a directory for
   * each plugin, with the plugin's module jars. If two provide the same type, the first is used. A
   * new version of a plugin is used from the next call on. Replace a directory atomically: by
   * renaming a symbolic link, or with {@code mv --exchange}.
   *
   * <p>A plugin is disabled if its files, or a directory above them, may be written to by users
   * other than root and this process's, unless {@link #allowUntrustedPlugins} is set.
   */
  public CniBuilder pluginDirectories(Path... directories) {
    pluginDirectories = List.of(NullChecks.requireElements(directories, "directories"));
    return this;
  }

  /**
   * Loads plugins from plugin directories even if users other than root and the user of this
   * process may replace them. These users can then do whatever this process may.
   */
  public CniBuilder allowUntrustedPlugins() {
    allowUntrustedPlugins = true;
    return this;
  }

  /**
   * Allows the plugins of these directories to call native code, by {@code java.lang.foreign} or
   * JNI. This requires the JVM option {@code --enable-native-access=cni.runtime}.
   *
   * @param names the names of the plugins' own directories, such as {@code vxlan} for {@code
   *     /opt/cni/modules/vxlan}
   */
  public CniBuilder nativeAccess(String... names) {
    nativeAccess = Set.copyOf(List.of(NullChecks.requireElements(names, "names")));
    return this;
  }

  /**
   * Sets where plugins are searched for, in this order; by default {@link
   * PluginSource#DEFAULT_ORDER}. Sources that are not listed are not searched.
   */
  public CniBuilder searchOrder(PluginSource... sources) {
    searchOrder = List.of(NullChecks.requireElements(sources, "sources"));
    return this;
  }

  /**
   * Uses one source alone for these plugin types, whatever the search order. An operation that
   * needs such a plugin fails with code 7 if that source does not have it.
   */
  public CniBuilder forceSource(PluginSource source, String... types) {
    requireNonNull(source, "source");
    for (String type : NullChecks.requireElements(types, "types")) {
      forced.put(type, source);
    }
    return this;
  }

  /**
   * Uses only executables for these plugin types, even where a module provides them: {@link
   * #forceSource} with {@link PluginSource#EXECUTABLE}.
   */
  public CniBuilder forceExecutables(String... types) {
    return forceSource(PluginSource.EXECUTABLE, types);
  }

  /** Sets what receives the standard error of executables; by default it is logged. */
  public CniBuilder stderrHandler(StderrHandler handler) {
    stderrHandler = requireNonNull(handler, "handler");
    return this;
  }

  /**
   * Sets what executables inherit, for a process that works for others, such as a daemon; by
   * default they inherit from this process.
   */
  public CniBuilder caller(CallerContext context) {
    caller = Optional.of(requireNonNull(context, "context"));
    return this;
  }

  /**
   * Uses the plugin instances of another instance, which has to stay open for longer: its built-in
   * plugins, and those of its plugin directories if this builder has the same ones. Operations on
   * the same container then run one after the other across both. All else is separate, so that a
   * daemon can create an instance for each of its callers at little cost. The new instance never
   * starts or stops the shared plugins' work between operations.
   */
  public CniBuilder sharePlugins(Cni other) {
    shared = Optional.of(requireNonNull(other, "other"));
    return this;
  }

  /**
   * Reports each call of a plugin to an observer, for example to count calls and their durations.
   * By default none is reported, and nothing is measured.
   */
  public CniBuilder observePluginCalls(PluginCallObserver observer) {
    requireNonNull(observer, "observer");
    pluginCallObserver = Optional.of(observer);
    return this;
  }

  /**
   * Creates the instance. Network configurations are not read yet. Unless this is {@link #oneShot},
   * resident plugins resume the work that an earlier process left.
   *
   * @throws IllegalArgumentException if a plugin of {@link #plugins} cannot report its type or
   *     versions, its type is malformed, or two have the same type
   * @throws IllegalStateException if this is to {@link #repair} and the kernel's notifications
   *     cannot be subscribed to, for lack of privileges
   */
  public Cni build() {
    return new Cni(this);
  }
}
