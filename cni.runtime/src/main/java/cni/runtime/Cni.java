// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Objects.requireNonNull;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Names;
import cni.api.NetworkConfig;
import cni.api.PluginEvent;
import cni.api.TraceContext;
import cni.runtime.NetworkConfigDirectory.LoadedConfig;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
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

  Cni(CniBuilder builder) {
    this.state = new CniState(builder);
    this.trace = builder.trace;
    this.events =
        new EventHub(builder.cache, builder.hostNamespace, builder.runsDaemons, state.cache());
    if (!builder.oneShot && builder.shared.isEmpty()) {
      state.plugins().start(events);
    }
    this.autoRepair = builder.repairs ? Optional.of(startRepair(builder)) : Optional.empty();
  }

  private AutoRepair startRepair(CniBuilder builder) {
    try {
      return AutoRepair.start(state, builder.hostNamespace, events::publish);
    } catch (CniException e) {
      events.close();
      state.close();
      throw new IllegalStateException(e.getMessage(), e);
    }
  }

  /** Returns a builder with the defaults of libcni. */
  public static CniBuilder builder() {
    return new CniBuilder();
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
    return network(state.networks().load(requireNonNull(name, "name")));
  }

  /** Returns a network with a configuration that the caller has parsed. */
  public Network network(NetworkConfig config) {
    return new Network(requireNonNull(config, "config"), state, trace);
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
    return network(
        new LoadedConfig(NetworkConfigDirectory.read(requireNonNull(file, "file")), file));
  }

  private Network network(LoadedConfig loaded) {
    return new Network(loaded.config(), state, trace, Optional.of(loaded.file()));
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
    for (LoadedConfig loaded : state.networks().loadAll()) {
      all.add(network(loaded));
    }
    return all;
  }

  /**
   * Returns the files of the configuration directory that are not used, because another file
   * defines a network of the same name.
   *
   * @throws CniException code 5 if the directory cannot be read
   */
  public List<ShadowedFile> shadowedFiles() throws CniException {
    return state.networks().shadowed();
  }

  /**
   * Validates all files of the configuration directory, as {@link Network#validate} does, whether
   * they can be read or not. Files that define a network that an earlier file defines, and files
   * that look like configurations but have another extension than those that are read, get a
   * warning.
   *
   * @throws CniException code 7 if the directory does not exist, code 5 if it cannot be read
   */
  public ValidationReport validate() throws CniException {
    return new ConfigValidator(state).directory();
  }

  /**
   * Validates a file, as {@link Network#validate} does, whether it can be read or not and whatever
   * its extension is.
   */
  public ValidationReport validate(Path file) {
    requireNonNull(file, "file");
    return new ValidationReport(List.of(new ConfigValidator(state).file(file)));
  }

  /** Returns the plugins that are available to networks. */
  public PluginRegistry plugins() {
    return state.plugins();
  }

  /** Returns the cache directory: results of attachments, and what plugins keep beside them. */
  public Path cacheDirectory() {
    return state.cacheDirectory();
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
    return state
        .cache()
        .list(Optional.of(Names.requireContainerId(requireNonNull(containerId, "containerId"))));
  }

  /**
   * Returns the attachments whose ADD has begun and neither stored its result nor been rolled back:
   * it is under way, or the process that ran it has died.
   *
   * @throws CniException code 5 if the cache directory cannot be read
   */
  public List<CachedAttachment> pendingAdds() throws CniException {
    return state.journal().list();
  }

  /**
   * Returns the attachments whose ADD was interrupted: the process that ran it has died, and GC has
   * not deleted them yet. Those of networks that an operation is using now are left out, since an
   * ADD may be under way.
   *
   * @throws CniException code 5 if the cache directory cannot be read, or the lock of a network
   *     cannot be opened
   */
  public List<CachedAttachment> interruptedAdds() throws CniException {
    return state.interruptedAdds();
  }

  /**
   * Returns when an attachment was stored in the cache: at its ADD or its last update.
   *
   * @return absent if it is no longer in the cache
   */
  public Optional<Instant> storedAt(CachedAttachment cached) {
    requireNonNull(cached, "cached");
    return state.cache().storedAt(cached.network(), cached.attachment().id());
  }

  /**
   * Subscribes to events: attachments that are added, updated or deleted, and, between operations,
   * an interface that disappeared or went down, an address in conflict, a lost lease. Changes of
   * the cache and notifications of the kernel are included for every attachment in the cache,
   * whichever process added it; they are watched only while there are subscriptions.
   *
   * <p>Watching needs CAP_NET_ADMIN in the host's namespace and access to the cache. What cannot be
   * watched is reported by {@link Subscription#failures} and by an event of the kind {@link
   * PluginEvent.Kind#EVENTS_LOST}.
   *
   * @param listener called on a separate thread, for one event at a time; a listener that falls
   *     behind by more than 4,096 events misses some and receives {@link
   *     PluginEvent.Kind#EVENTS_LOST}
   * @return the subscription, which ends when it or this instance is closed
   */
  public Subscription onEvent(Consumer<PluginEvent> listener) {
    return events.subscribe(requireNonNull(listener, "listener"));
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
}
