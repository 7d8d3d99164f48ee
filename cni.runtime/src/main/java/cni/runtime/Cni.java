package cni.runtime;

import cni.api.CallContext;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Names;
import cni.api.NetworkConfig;
import cni.api.PluginEvent;
import cni.api.TraceContext;
import cni.api.internal.FileRecycler;
import cni.exec.PluginPath;
import cni.exec.StderrHandler;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The networks of a host and the plugins that serve them.
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
 * <p>Any thread may use it. Operations on one container take turns; others run side by side.
 */
public final class Cni implements AutoCloseable {
  /** Where configurations are by default. */
  public static final Path DEFAULT_NETWORKS = Path.of("/etc/cni/net.d");

  /** Where executables are by default. */
  public static final Path DEFAULT_EXECUTABLES = Path.of("/opt/cni/bin");

  /** Where directories of plugins that are modules are by default. */
  public static final Path DEFAULT_PLUGIN_DIRECTORY = Path.of("/opt/cni/modules");

  /** Where the results of attachments are kept by default: the directory of libcni. */
  public static final Path DEFAULT_CACHE = Path.of("/var/lib/cni");

  /** As many containers as may come and go at once. */
  private static final int MAX_RECYCLED_FILES = 64;

  private final NetworkConfigDirectory networks;
  private final PluginRegistry plugins;
  private final FileRecycler recycler;
  private final ResultCache cache;
  private final ResultCache journal;
  private final Optional<Path> hostNamespace;
  private final boolean sameNamespace;
  private final Duration timeout;
  private final TraceContext trace;
  private final NetworkLock networkLock;
  private final EventHub events;
  private final ContainerLocks locks = new ContainerLocks();

  private Cni(Builder builder) {
    this.networks = new NetworkConfigDirectory(builder.networks);
    this.plugins =
        new PluginRegistry(
            builder.pluginLoader(),
            new PluginDirectories(builder.pluginDirectories, builder.nativeAccess),
            new PluginPath(builder.executables),
            builder.searchOrder,
            builder.forced,
            builder.stderrHandler);
    this.recycler = ResultCache.spares(builder.cache, builder.oneShot ? 0 : MAX_RECYCLED_FILES);
    this.cache = ResultCache.of(builder.cache, recycler);
    this.journal = ResultCache.ofBegun(builder.cache, recycler);
    this.hostNamespace = builder.hostNamespace;
    this.sameNamespace = builder.allowHostNamespace;
    this.timeout = builder.timeout;
    this.trace = builder.trace;
    this.networkLock = new NetworkLock(builder.cache);
    this.events = new EventHub(builder.cache, builder.hostNamespace, cache);
    if (!builder.oneShot) {
      plugins.start(events);
    }
  }

  /** Begins with the defaults of the Go library. */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * The network with that name, as its configuration is now.
   *
   * @throws CniException code 7 if there is none, or what is wrong with a configuration
   */
  public Network network(String name) throws CniException {
    return network(networks.load(name));
  }

  /** A network whose configuration does not come from the directory. */
  public Network network(NetworkConfig config) {
    return new Network(config, this, trace);
  }

  /**
   * A network whose configuration is in a file somewhere else; it may have a directory of further
   * plugins beside it.
   *
   * @throws CniException what is wrong with the configuration
   */
  public Network network(Path file) throws CniException {
    return network(NetworkConfigDirectory.read(file));
  }

  /**
   * Every network of the directory, in the order of the file names.
   *
   * @throws CniException what is wrong with a configuration
   */
  public List<Network> networks() throws CniException {
    List<Network> all = new ArrayList<>();
    for (NetworkConfig config : networks.loadAll()) {
      all.add(network(config));
    }
    return all;
  }

  /** The plugins that can be had. */
  public PluginRegistry plugins() {
    return plugins;
  }

  /**
   * Every attachment that is kept, in the order of the file names: of all networks and containers.
   *
   * @throws CniException code 5 if the cache cannot be read
   */
  public List<CachedAttachment> attachments() throws CniException {
    return cache.list(Optional.empty());
  }

  /**
   * The attachments of a container that are kept.
   *
   * @throws CniException code 4 if the id is malformed, code 5 if the cache cannot be read
   */
  public List<CachedAttachment> attachments(String containerId) throws CniException {
    return cache.list(Optional.of(Names.requireContainerId(containerId)));
  }

  /**
   * Listens to what happens between operations: to attachments, and to what they are made from. The
   * kernel's notifications are among it, for every attachment that is kept, whoever made it; they
   * are only asked for as long as somebody listens.
   *
   * @param listener is told on a thread of its own, one event after the other
   * @return ends it when closed, as does closing this
   */
  public Subscription onEvent(Consumer<PluginEvent> listener) {
    return events.subscribe(listener);
  }

  ResultCache cache() {
    return cache;
  }

  ResultCache journal() {
    return journal;
  }

  NetworkLock networkLock() {
    return networkLock;
  }

  ContainerLocks locks() {
    return locks;
  }

  /** What surrounds an operation that begins now. */
  CallContext context(TraceContext operation) {
    Deadline deadline = Deadline.after(timeout);
    return new CallContext(hostNamespace, sameNamespace, deadline, plugins, operation);
  }

  /**
   * Ends the work that plugins have between operations, such as keeping leases. Attachments stay as
   * they are; what is kept the next {@link Cni} with the same cache takes up again.
   */
  @Override
  public void close() {
    events.close();
    plugins.stop();
    recycler.close();
  }

  /** Collects what a {@link Cni} is made from. */
  public static final class Builder {
    private Path networks = DEFAULT_NETWORKS;
    private List<Path> executables = List.of(DEFAULT_EXECUTABLES);
    private Path cache = DEFAULT_CACHE;
    private Optional<Path> hostNamespace = Optional.empty();
    private boolean allowHostNamespace;
    private boolean oneShot;
    private Duration timeout = Duration.ofMinutes(2);
    private TraceContext trace = TraceContext.NONE;
    private @Nullable ServiceLoader<cni.api.NetworkPlugin> pluginLoader;
    private List<Path> pluginDirectories = List.of(DEFAULT_PLUGIN_DIRECTORY);
    private Set<String> nativeAccess = Set.of();
    private List<PluginSource> searchOrder = PluginSource.DEFAULT_ORDER;
    private final Map<String, PluginSource> forced = new HashMap<>();
    private StderrHandler stderrHandler = StderrHandler.TO_LOG;

    private Builder() {}

    /** The directory of configurations; by default /etc/cni/net.d. */
    public Builder networks(Path directory) {
      networks = directory;
      return this;
    }

    /** The directories of executables, searched in order; by default /opt/cni/bin. */
    public Builder executables(Path... directories) {
      return executables(List.of(directories));
    }

    /** As {@link #executables(Path...)}. */
    public Builder executables(List<Path> directories) {
      executables = List.copyOf(directories);
      return this;
    }

    /** The directory in which results are kept; by default /var/lib/cni. */
    public Builder cache(Path directory) {
      cache = directory;
      return this;
    }

    /**
     * The namespace in which plugins do the host's side of their work; by default the one that this
     * process is in.
     */
    public Builder hostNamespace(Path path) {
      hostNamespace = Optional.of(path);
      return this;
    }

    /**
     * Lets a container's namespace be the host's, which is otherwise taken for a mistake
     * (CNI_NETNS_OVERRIDE).
     */
    public Builder allowHostNamespace() {
      allowHostNamespace = true;
      return this;
    }

    /**
     * Says that this process ends after an operation or two. What plugins would do between
     * operations, such as extending leases, they then leave to a daemon.
     */
    public Builder oneShot() {
      oneShot = true;
      return this;
    }

    /** How long an operation may take; by default two minutes. */
    public Builder timeout(Duration time) {
      timeout = time;
      return this;
    }

    /**
     * The trace that operations belong to unless their network says otherwise. Without one,
     * executables inherit what the environment of this process says.
     */
    public Builder trace(TraceContext context) {
      trace = context;
      return this;
    }

    /** Where plugin modules are found; by default with the loader of this class. */
    public Builder pluginLoader(ServiceLoader<cni.api.NetworkPlugin> loader) {
      pluginLoader = loader;
      return this;
    }

    /** Every {@link Cni} has plugins of its own, as they may have work of their own. */
    private ServiceLoader<cni.api.NetworkPlugin> pluginLoader() {
      return pluginLoader == null
          ? ServiceLoader.load(cni.api.NetworkPlugin.class, Cni.class.getClassLoader())
          : pluginLoader;
    }

    /**
     * Directories with a directory for each plugin, which holds its modules; by default
     * /opt/cni/modules. Where two have a plugin of the same type, the first counts. They are looked
     * at again whenever a plugin of theirs is wanted: one that is replaced there, by another
     * directory of its name, is used from the next call on.
     */
    public Builder pluginDirectories(Path... directories) {
      pluginDirectories = List.of(directories);
      return this;
    }

    /**
     * Lets plugins of these directories call native code, by {@code java.lang.foreign} or JNI. It
     * takes {@code --enable-native-access=cni.runtime} to let them.
     *
     * @param names of the plugins' own directories, such as {@code vxlan} for
     *     /opt/cni/modules/vxlan
     */
    public Builder nativeAccess(String... names) {
      nativeAccess = Set.of(names);
      return this;
    }

    /**
     * Where a plugin is looked for first, second, third; by default {@link
     * PluginSource#DEFAULT_ORDER}. Places that are left out are not searched.
     */
    public Builder searchOrder(PluginSource... sources) {
      searchOrder = List.of(sources);
      return this;
    }

    /** Has these types served from that place and no other. */
    public Builder forceSource(PluginSource source, String... types) {
      for (String type : types) {
        forced.put(type, source);
      }
      return this;
    }

    /** Has executables serve these types even where there is a module. */
    public Builder preferExecutables(String... types) {
      return forceSource(PluginSource.EXECUTABLE, types);
    }

    /** What becomes of the standard error of executables; by default it is logged. */
    public Builder stderrHandler(StderrHandler taker) {
      stderrHandler = taker;
      return this;
    }

    /**
     * Makes it. Configurations are not read yet; plugins that have work between operations take up
     * what an earlier process has left.
     */
    public Cni build() {
      return new Cni(this);
    }
  }
}
