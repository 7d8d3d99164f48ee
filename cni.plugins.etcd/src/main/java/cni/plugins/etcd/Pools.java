// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.PluginConfig;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.api.internal.LazyLogger;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The opened stores. A resident process keeps one for each network; a single call opens its own and
 * closes it.
 */
final class Pools {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  private final Duration leaseTtl;

  /** Guarded by this; null in a process that is not resident. */
  private @Nullable PluginHost host;

  /** By network. Guarded by this. */
  private final Map<String, ResidentPool> residents = new HashMap<>();

  Pools(Duration leaseTtl) {
    this.leaseTtl = leaseTtl;
  }

  /**
   * Begins to keep stores, and opens those of an earlier host, so that this node's leases are
   * renewed before its first call.
   */
  void start(PluginHost newHost) {
    synchronized (this) {
      host = newHost;
    }
    for (PluginConfig config : new RememberedConfigs(newHost).read()) {
      try {
        open(config, EtcdConfig.parse(config));
      } catch (CniException e) {
        LOG.get()
            .log(
                System.Logger.Level.WARNING,
                "a network of the last host has no lease in etcd: {0}",
                e.getMessage());
      }
    }
  }

  /** Closes the stores. The leases of this node end. */
  void stop() {
    Map<String, ResidentPool> open;
    synchronized (this) {
      host = null;
      open = Map.copyOf(residents);
      residents.clear();
    }
    open.values().forEach(ResidentPool::stop);
  }

  private synchronized Optional<PluginHost> host() {
    return Optional.ofNullable(host);
  }

  /**
   * Opens the store of a network; the caller closes it. The store that is kept is used if it is the
   * same: old containers are deleted with the configuration that they were added with.
   *
   * @throws CniException code 7 if a file for TLS cannot be read or is invalid
   */
  Pool open(StoreConfig config) throws CniException {
    synchronized (this) {
      ResidentPool pool = residents.get(config.network());
      if (pool != null && pool.store().config().isSameStore(config)) {
        return pool;
      }
    }
    return new Pool(EtcdStore.open(config));
  }

  /**
   * Opens the store of a network for an ADD, and keeps it.
   *
   * @param source the configuration that {@code config} was parsed from
   * @throws CniException code 7 if a file for TLS cannot be read or is invalid
   */
  Pool open(PluginConfig source, EtcdConfig config) throws CniException {
    Optional<ResidentPool> resident = resident(config.store());
    if (resident.isEmpty()) {
      return new Pool(EtcdStore.open(config.store()));
    }
    resident.get().use(source, config);
    return resident.get();
  }

  /** Returns the kept store of a network; absent if this process is not resident. */
  private synchronized Optional<ResidentPool> resident(StoreConfig config) throws CniException {
    PluginHost present = host;
    if (present == null) {
      return Optional.empty();
    }
    ResidentPool pool = residents.get(config.network());
    if (pool != null && pool.store().config().equals(config)) {
      return Optional.of(pool);
    }
    // Another configuration, or new certificates.
    var replacement = new ResidentPool(EtcdStore.open(config), present, leaseTtl);
    residents.put(config.network(), replacement);
    if (pool != null) {
      pool.retire();
    }
    return Optional.of(replacement);
  }

  /** Publishes that a range set has no free address. */
  void publishExhausted(String network, AttachmentId attachment, String reason) {
    host()
        .ifPresent(
            it ->
                it.publish(
                    PluginEvent.now(
                        PluginEvent.Kind.RESOURCE_EXHAUSTED,
                        StoreConfig.TYPE,
                        network,
                        Optional.of(attachment),
                        reason)));
  }
}
