// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.PluginConfig;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.api.PluginHost.ActiveAttachment;
import cni.api.internal.LazyLogger;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The opened stores. A resident process keeps one for each network; a single call opens its own and
 * closes it.
 */
final class StoreSessions {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  private final Duration leaseTtl;

  /** Guarded by this; null in a process that is not resident. */
  private @Nullable PluginHost host;

  /** By network. Guarded by this. */
  private final Map<String, ResidentSession> residents = new HashMap<>();

  StoreSessions(Duration leaseTtl) {
    this.leaseTtl = leaseTtl;
  }

  /**
   * Begins to keep stores, and opens those of an earlier host and of the attachments that exist, so
   * that this node's leases are renewed before its first call.
   */
  void start(PluginHost newHost) {
    synchronized (this) {
      host = newHost;
    }
    new RememberedConfigs(newHost).read().forEach(this::openBeforeCall);
    // With many attachments this takes longer than a host may take to start.
    Thread.ofVirtual().name("cni-etcd-networks").start(() -> openForAttachments(newHost));
  }

  private void openForAttachments(PluginHost newHost) {
    Set<String> tried = new HashSet<>();
    try {
      for (ActiveAttachment attachment : newHost.attachments()) {
        for (PluginConfig it : attachment.plugins()) {
          boolean isOfThisType = it.ipamType().filter(StoreConfig.TYPE::equals).isPresent();
          if (isOfThisType && tried.add(it.network() + it.requireIpam(StoreConfig.TYPE).json())) {
            openBeforeCall(it);
          }
        }
      }
    } catch (CniException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "networks of present attachments may have no lease in etcd before their first ADD: {0}",
              e.getMessage());
    }
  }

  /** Opens the store of a network, unless it is open. */
  private void openBeforeCall(PluginConfig config) {
    try {
      EtcdConfig parsed = EtcdConfig.parse(config);
      synchronized (this) {
        if (!residents.containsKey(config.network())) {
          open(config, parsed).close(); // the host keeps it
        }
      }
    } catch (CniException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "a network of this host has no lease in etcd before its first ADD: {0}",
              e.getMessage());
    }
  }

  /** Closes the stores. The leases of this node end. */
  void stop() {
    Map<String, ResidentSession> open;
    synchronized (this) {
      host = null;
      open = Map.copyOf(residents);
      residents.clear();
    }
    open.values().forEach(ResidentSession::endRenewal); // of all: one would register the host again
    open.values().forEach(ResidentSession::stop);
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
  StoreSession open(StoreConfig config) throws CniException {
    synchronized (this) {
      ResidentSession session = residents.get(config.network());
      if (session != null && session.store().config().isSameStore(config)) {
        return session;
      }
    }
    return new StoreSession(EtcdStore.open(config));
  }

  /**
   * Opens the store of a network for an ADD, and keeps it.
   *
   * @param source the configuration that {@code config} was parsed from
   * @throws CniException code 7 if a file for TLS cannot be read or is invalid
   */
  StoreSession open(PluginConfig source, EtcdConfig config) throws CniException {
    Optional<ResidentSession> resident = resident(config.store());
    if (resident.isEmpty()) {
      return new StoreSession(EtcdStore.open(config.store()));
    }
    resident.get().use(source);
    return resident.get();
  }

  /** Returns the kept store of a network; absent if this process is not resident. */
  private synchronized Optional<ResidentSession> resident(StoreConfig config) throws CniException {
    PluginHost present = host;
    if (present == null) {
      return Optional.empty();
    }
    ResidentSession session = residents.get(config.network());
    if (session != null && session.store().config().equals(config)) {
      return Optional.of(session);
    }
    // Another configuration, or new certificates.
    var replacement = new ResidentSession(EtcdStore.open(config), present, leaseTtl);
    residents.put(config.network(), replacement);
    if (session != null) {
      session.retire();
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
