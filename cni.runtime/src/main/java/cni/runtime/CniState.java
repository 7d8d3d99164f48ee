// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CallContext;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.TraceContext;
import cni.api.internal.FileRecycler;
import cni.exec.PluginPath;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** What the operations of one {@link Cni} share: its plugins, its files and its locks. */
final class CniState {
  /**
   * How many files of deleted attachments are kept for reuse: enough for bursts of as many
   * concurrent DELs and ADDs. See {@link FileRecycler} for what it saves.
   */
  private static final int MAX_RECYCLED_FILES = 64;

  private final NetworkConfigDirectory networks;
  private final PluginRegistry plugins;
  private final Path cacheDirectory;
  private final FileRecycler recycler;
  private final ResultCache cache;
  private final AddJournal journal;
  private final UpdateJournal updates;
  private final TemporaryFiles temporaryFiles;
  private final NetworkLock networkLock;
  private final ContainerLocks containerLocks;
  private final Optional<Path> hostNamespace;
  private final boolean allowHostNamespace;
  private final Duration timeout;

  CniState(CniBuilder builder) {
    this.networks = new NetworkConfigDirectory(builder.networks);
    this.plugins =
        new PluginRegistry(
            PluginInstances.of(builder.plugins),
            builder.pluginLoader.orElseGet(BuiltInPlugins::defaultLoader),
            new PluginDirectories(
                builder.pluginDirectories, builder.nativeAccess, builder.allowUntrustedPlugins),
            new PluginPath(builder.executables),
            builder.searchOrder,
            builder.forced,
            builder.stderrHandler,
            builder.caller,
            builder.shared.map(Cni::plugins),
            builder.pluginCallObserver);
    this.cacheDirectory = builder.cache;
    this.recycler =
        CacheDirectory.recycler(builder.cache, builder.oneShot ? 0 : MAX_RECYCLED_FILES);
    this.cache = new ResultCache(builder.cache, recycler);
    this.journal = new AddJournal(builder.cache, recycler);
    this.updates = new UpdateJournal(builder.cache, recycler);
    this.temporaryFiles = new TemporaryFiles(builder.cache);
    this.networkLock = new NetworkLock(builder.cache);
    this.containerLocks =
        builder
            .shared
            .map(shared -> shared.state().containerLocks())
            .orElseGet(ContainerLocks::new);
    this.hostNamespace = builder.hostNamespace;
    this.allowHostNamespace = builder.allowHostNamespace;
    this.timeout = builder.timeout;
  }

  Path cacheDirectory() {
    return cacheDirectory;
  }

  NetworkConfigDirectory networks() {
    return networks;
  }

  /** Returns the names of the configured networks, including those with an invalid plugin. */
  Set<String> networkNames() throws CniException {
    return networks.names();
  }

  PluginRegistry plugins() {
    return plugins;
  }

  ResultCache cache() {
    return cache;
  }

  AddJournal journal() {
    return journal;
  }

  /** Returns the journal's entries of the networks that no operation is using. */
  List<CachedAttachment> interruptedAdds() throws CniException {
    Set<String> networks = new TreeSet<>();
    journal.list().forEach(it -> networks.add(it.network()));
    List<CachedAttachment> interrupted = new ArrayList<>();
    for (String network : networks) {
      try (var _ = networkLock.exclusive(network, Deadline.after(Duration.ZERO))) {
        journal.list().stream()
            .filter(it -> it.network().equals(network))
            .forEach(interrupted::add);
      } catch (CniException e) {
        if (!e.is(ErrorCode.TRY_AGAIN_LATER)) {
          throw e;
        }
      }
    }
    return interrupted;
  }

  UpdateJournal updates() {
    return updates;
  }

  TemporaryFiles temporaryFiles() {
    return temporaryFiles;
  }

  NetworkLock networkLock() {
    return networkLock;
  }

  ContainerLocks containerLocks() {
    return containerLocks;
  }

  /** Returns the context of an operation that starts now, with its deadline. */
  CallContext newContext(TraceContext trace) {
    Deadline deadline = Deadline.after(timeout);
    return new CallContext(hostNamespace, allowHostNamespace, deadline, plugins, trace);
  }

  /** Stops the plugins and deletes the files that are kept for reuse. */
  void close() {
    plugins.stop();
    recycler.close();
  }
}
