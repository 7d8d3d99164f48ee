package cni.runtime;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Names;
import cni.api.NetworkConfig;
import cni.api.NetworkPlugin;
import cni.api.PluginDaemon;
import cni.api.PluginEvent;
import cni.api.TraceContext;
import cni.exec.CallerContext;
import cni.exec.StderrHandler;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.function.Consumer;

/**
 * A host's networks and the plugins that implement them: the entry point of this library.
 *
 * <pre>{@code
 * try (Cni cni = Cni.builder().build()) {
 *   var attachment = Attachment.of("container-1", Path.of("/run/netns/container-1"), "eth0");
 *   Result result = cni.network("mynet").add(attachment);
 *   ...
 *   cni.network("mynet").delete(attachment);
 * }
 * }</pre>
 *
 * <p>A program usually creates one instance and keeps it open: while it is open, plugins work
 * between operations as well, for example to renew DHCP leases. Closing it does not touch any
 * attachment. State that has to survive a restart is in the cache directory, where libcni and other
 * processes find it as well; several instances and processes can use one cache at the same time.
 *
 * <p>Instances are safe for use by multiple threads. An instance runs operations on the same
 * container one after the other and on different containers concurrently (SPEC section 3,
 * "Lifecycle and Ordering"); a program that uses several instances or processes for one container
 * orders its operations itself. Configurations are read from disk at each call of {@link
 * #network(String)}.
 *
 * <p>Failures are reported as {@link CniException} with an error code defined by the CNI
 * specification ({@link ErrorCode}) and a message that names the invalid key and value.
 */
public final class Cni implements AutoCloseable {
  /** The default directory of network configurations. */
  public static final Path DEFAULT_NETWORKS = Path.of("/etc/cni/net.d");

  /** The default directory of plugin executables. */
  public static final Path DEFAULT_EXECUTABLES = Path.of("/opt/cni/bin");

  /** The default plugin directory, which holds a directory of module jars for each plugin. */
  public static final Path DEFAULT_PLUGIN_DIRECTORY = Path.of("/opt/cni/modules");

  /** The default cache directory, which is that of libcni. */
  public static final Path DEFAULT_CACHE = Path.of("/var/lib/cni");

  private final CniState state;
  private final TraceContext trace;
  private final EventHub events;
  private final Optional<AutoRepair> autoRepair;

  private Cni(Builder builder) {
    this.state = new CniState(builder);
    this.trace = builder.trace;
    this.events =
        new EventHub(builder.cache, builder.hostNamespace, builder.runsDaemons, state.cache());
    if (!builder.oneShot && builder.shared.isEmpty()) {
      state.plugins().start(events);
    }
    this.autoRepair = builder.repairs ? Optional.of(startRepair(builder)) : Optional.empty();
  }

  private AutoRepair startRepair(Builder builder) {
    try {
      return AutoRepair.start(state, builder.hostNamespace, events::publish);
    } catch (CniException e) {
      events.close();
      state.close();
      throw new IllegalStateException(e.getMessage(), e);
    }
  }

  /** Returns a builder with the defaults of libcni. */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Returns the network with a name, as configured at the time of the call. Where several files
   * define it, the first is used: {@code *.conflist} before {@code *.conf} and {@code *.json}, each
   * in the order of the file names. Files that cannot be read or are not JSON are logged and
   * skipped.
   *
   * @throws CniException code 7 if no file of the configuration directory defines it or its
   *     configuration is invalid; if no file defines it and some are skipped, the error of the
   *     first of them, which may define it: code 5 if it cannot be read, code 6 if it is not JSON
   */
  public Network network(String name) throws CniException {
    return network(state.networks().load(name));
  }

  /** Returns a network with a configuration that the caller has parsed. */
  public Network network(NetworkConfig config) {
    return new Network(config, state, trace);
  }

  /**
   * Returns a network whose configuration is in the given file. Unless it says {@code
   * loadOnlyInlinedPlugins}, the {@code *.conf} files in the directory beside it that has the
   * network's name add plugins to the chain.
   *
   * @throws CniException code 5 if a file cannot be read, code 6 or 7 if it is not a valid
   *     configuration
   */
  public Network network(Path file) throws CniException {
    return network(NetworkConfigDirectory.read(file));
  }

  /**
   * Returns all networks of the configuration directory, in the order of their files. Those with an
   * invalid configuration are logged and left out.
   *
   * @throws CniException if there is none, the error of the first invalid file; code 7 if the
   *     directory does not exist, code 5 if it cannot be read
   */
  public List<Network> networks() throws CniException {
    List<Network> all = new ArrayList<>();
    for (NetworkConfig config : state.networks().loadAll()) {
      all.add(network(config));
    }
    return all;
  }

  /** Returns the plugins that are available to networks. */
  public PluginRegistry plugins() {
    return state.plugins();
  }

  /**
   * Returns the attachments in the cache, of all networks and containers and whichever process
   * added them, in the order of the file names. Files that are not readable as a cache entry are
   * skipped, as by libcni.
   *
   * @throws CniException code 5 if the cache directory cannot be read
   */
  public List<CachedAttachment> attachments() throws CniException {
    return state.cache().list(Optional.empty());
  }

  /**
   * Returns the attachments of a container in the cache, as {@link #attachments()}.
   *
   * @throws CniException code 4 if the container id is malformed, code 5 if the cache directory
   *     cannot be read
   */
  public List<CachedAttachment> attachments(String containerId) throws CniException {
    return state.cache().list(Optional.of(Names.requireContainerId(containerId)));
  }

  /**
   * Returns when an attachment was stored in the cache: at its ADD or its last update.
   *
   * @return absent if it is no longer in the cache
   */
  public Optional<Instant> storedAt(CachedAttachment cached) {
    return state.cache().storedAt(cached.network(), cached.attachment().id());
  }

  /**
   * Subscribes to events between operations: an interface that disappeared or went down, an address
   * in conflict, a lost lease. Kernel notifications are included for every attachment in the cache,
   * whichever process added it; the sockets for them are open only while there are subscriptions.
   *
   * @param listener called on a separate thread, for one event at a time; a listener that falls
   *     behind by more than 4,096 events misses some, which is logged
   * @return the subscription, which ends when it or this instance is closed
   */
  public Subscription onEvent(Consumer<PluginEvent> listener) {
    return events.subscribe(listener);
  }

  CniState state() {
    return state;
  }

  /**
   * Stops the work that plugins do between operations and ends all subscriptions. Attachments stay;
   * the next instance with the same cache resumes the work.
   */
  @Override
  public void close() {
    autoRepair.ifPresent(AutoRepair::close);
    events.close();
    state.close();
  }

  /**
   * The options of a {@link Cni}. Each method returns the builder itself. A further call of a
   * method replaces the value, or, for {@link #forceSource} and {@link #forceExecutables}, the
   * source of the types that it names.
   */
  public static final class Builder {
    Path networks = DEFAULT_NETWORKS;
    List<Path> executables = List.of(DEFAULT_EXECUTABLES);
    Path cache = DEFAULT_CACHE;
    Optional<Path> hostNamespace = Optional.empty();
    boolean allowHostNamespace;
    boolean oneShot;
    boolean runsDaemons;
    boolean repairs;
    Duration timeout = Duration.ofMinutes(2);
    TraceContext trace = TraceContext.NONE;
    Optional<ServiceLoader<NetworkPlugin>> pluginLoader = Optional.empty();
    List<Path> pluginDirectories = List.of(DEFAULT_PLUGIN_DIRECTORY);
    Set<String> nativeAccess = Set.of();
    boolean allowUntrustedPlugins;
    List<PluginSource> searchOrder = PluginSource.DEFAULT_ORDER;
    final Map<String, PluginSource> forced = new HashMap<>();
    StderrHandler stderrHandler = StderrHandler.TO_LOG;
    Optional<CallerContext> caller = Optional.empty();
    Optional<Cni> shared = Optional.empty();

    private Builder() {}

    /**
     * Sets the directory of network configurations; by default {@code /etc/cni/net.d}. It need not
     * exist if networks are only used by file or parsed configuration.
     */
    public Builder networks(Path directory) {
      networks = directory;
      return this;
    }

    /**
     * Sets the directories of plugin executables (CNI_PATH), searched in this order; by default
     * {@code /opt/cni/bin}. Without arguments, no executables are used.
     */
    public Builder executables(Path... directories) {
      return executables(List.of(directories));
    }

    /** Sets the directories of plugin executables, as {@link #executables(Path...)}. */
    public Builder executables(List<Path> directories) {
      executables = List.copyOf(directories);
      return this;
    }

    /**
     * Sets the cache directory; by default {@code /var/lib/cni}. It holds the results of ADD in
     * libcni's format, lock files, and the state of plugins. It is created when it is first written
     * to.
     */
    public Builder cache(Path directory) {
      cache = directory;
      return this;
    }

    /**
     * Sets the network namespace in which plugins do the host's side of their work, as a path such
     * as {@code /run/netns/host}; by default the namespace of this process.
     */
    public Builder hostNamespace(Path path) {
      hostNamespace = Optional.of(path);
      return this;
    }

    /**
     * Accepts an attachment whose namespace is the host's (CNI_NETNS_OVERRIDE), which is otherwise
     * refused with code 8 because it is almost always a mistake.
     */
    public Builder allowHostNamespace() {
      allowHostNamespace = true;
      return this;
    }

    /**
     * Declares that this process ends after an operation or two. Plugins then leave work between
     * operations, such as renewing leases, to a daemon, and no files are kept for reuse.
     */
    public Builder oneShot() {
      oneShot = true;
      return this;
    }

    /**
     * Declares that this process also runs the {@link PluginDaemon} of each plugin, for callers
     * that run executables. Plugins then leave work between operations, such as renewing leases, to
     * these daemons, which the caller starts.
     */
    public Builder runsDaemons() {
      runsDaemons = true;
      return this;
    }

    /**
     * Repairs attachments by itself, as {@link Network#repair} does, soon after the kernel notifies
     * of a change: a flushed ruleset is complete again within a second. Attachments of all networks
     * in the cache are repaired, whichever process added them. {@link Cni#onEvent} reports what was
     * repaired, and that something keeps removing it; the next attempt then waits longer each time.
     */
    public Builder repair() {
      repairs = true;
      return this;
    }

    /**
     * Sets how long one operation may take, waiting for locks included; by default two minutes. An
     * operation that takes longer fails with code 11. The rollback of a failed ADD has additional
     * time.
     */
    public Builder timeout(Duration time) {
      timeout = time;
      return this;
    }

    /**
     * Sets the trace that operations belong to unless {@link Network#withTrace} sets another. By
     * default executables inherit the trace variables of this process's environment.
     */
    public Builder trace(TraceContext context) {
      trace = context;
      return this;
    }

    /**
     * Sets the loader of built-in plugins; by default one that finds the modules or jars that the
     * program was started with. A plugin from another class loader than this library's is called in
     * isolation, as one from a plugin directory.
     */
    public Builder pluginLoader(ServiceLoader<NetworkPlugin> loader) {
      pluginLoader = Optional.of(loader);
      return this;
    }

    /**
     * Sets the plugin directories; by default {@code /opt/cni/modules}. Each holds a directory for
     * each plugin, with the plugin's module jars. If two provide the same type, the first is used.
     * A new version of a plugin is used from the next call on. Replace a directory atomically: by
     * renaming a symbolic link, or with {@code mv --exchange}.
     *
     * <p>A plugin is disabled if its files, or a directory above them, may be written to by users
     * other than root and this process's, unless {@link #allowUntrustedPlugins} is set.
     */
    public Builder pluginDirectories(Path... directories) {
      pluginDirectories = List.of(directories);
      return this;
    }

    /**
     * Loads plugins from plugin directories even if users other than root and the user of this
     * process may replace them. These users can then do whatever this process may.
     */
    public Builder allowUntrustedPlugins() {
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
    public Builder nativeAccess(String... names) {
      nativeAccess = Set.copyOf(List.of(names));
      return this;
    }

    /**
     * Sets where plugins are searched for, in this order; by default {@link
     * PluginSource#DEFAULT_ORDER}. Sources that are not listed are not searched.
     */
    public Builder searchOrder(PluginSource... sources) {
      searchOrder = List.of(sources);
      return this;
    }

    /**
     * Uses one source alone for these plugin types, whatever the search order. An operation that
     * needs such a plugin fails with code 7 if that source does not have it.
     */
    public Builder forceSource(PluginSource source, String... types) {
      for (String type : types) {
        forced.put(type, source);
      }
      return this;
    }

    /**
     * Uses only executables for these plugin types, even where a module provides them: {@link
     * #forceSource} with {@link PluginSource#EXECUTABLE}.
     */
    public Builder forceExecutables(String... types) {
      return forceSource(PluginSource.EXECUTABLE, types);
    }

    /** Sets what receives the standard error of executables; by default it is logged. */
    public Builder stderrHandler(StderrHandler handler) {
      stderrHandler = handler;
      return this;
    }

    /**
     * Sets what executables inherit, for a process that works for others, such as a daemon; by
     * default they inherit from this process.
     */
    public Builder caller(CallerContext context) {
      caller = Optional.of(context);
      return this;
    }

    /**
     * Uses the plugin instances of another instance, which has to stay open for longer: its
     * built-in plugins, and those of its plugin directories if this builder has the same ones.
     * Operations on the same container then run one after the other across both. All else is
     * separate, so that a daemon can create an instance for each of its callers at little cost. The
     * new instance never starts or stops the shared plugins' work between operations.
     */
    public Builder sharePlugins(Cni other) {
      shared = Optional.of(other);
      return this;
    }

    /**
     * Creates the instance. Network configurations are not read yet. Unless this is {@link
     * #oneShot}, resident plugins resume the work that an earlier process left.
     *
     * @throws IllegalStateException if this is to {@link #repair} and the kernel's notifications
     *     cannot be subscribed to, for lack of privileges
     */
    public Cni build() {
      return new Cni(this);
    }
  }
}
