// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.PluginConfig;
import cni.api.PluginHost;
import cni.plugins.etcd.client.EtcdWatch;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * The store of a network in a resident process: its blocks are watched, and a lease shows that the
 * node runs. Several calls use it at the same time.
 *
 * <p>With the blocks known, an ADD costs one transaction. That takes 0.5 to 0.6 of the time of an
 * ADD that reads first, with three members on one machine (bench/cluster).
 */
final class ResidentSession extends StoreSession {
  /** Until when calls in progress can still use a session that has been replaced. */
  private static final Duration RETIREMENT = Duration.ofMinutes(1);

  private final EtcdWatch watch;
  private final NodeLease lease;
  private final RememberedConfigs remembered;

  /** The {@code ipam} section of the last ADD. */
  private volatile @Nullable ObjectNode used;

  ResidentSession(EtcdStore store, PluginHost host, Duration leaseTtl) {
    super(store);
    remembered = new RememberedConfigs(host);
    watch =
        EtcdWatch.start(store.client(), store.keys().blocks(store.network(), store.node()), view());
    lease = NodeLease.start(this, watch, host, leaseTtl);
  }

  /** Keeps the configuration of an ADD, for work between calls and for the next host. */
  void use(PluginConfig source) throws CniException {
    ConfigObject ipam = source.requireIpam(StoreConfig.TYPE);
    if (!ipam.json().equals(used)) {
      used = ipam.json();
      lease.use(source);
      remembered.write(source);
    }
  }

  /**
   * Does nothing: the session is kept for the next call. The revision that was seen is remembered
   * when the lease is renewed; a file for each ADD would cost as much again as the transaction.
   */
  @Override
  public void close() {}

  /**
   * Ends the watch and the renewal of the lease, as another session of the network has its own, and
   * closes the store after calls in progress. The lease expires: to revoke it could delete the key
   * before the other session has written it.
   */
  void retire() {
    watch.close();
    lease.retire();
    Thread.ofVirtual()
        .name("cni-etcd-retired")
        .start(
            () -> {
              try {
                Thread.sleep(RETIREMENT);
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
              super.close();
            });
  }

  /** Ends the renewal of the lease, without waiting for it. */
  void endRenewal() {
    lease.retire();
  }

  /** Ends the watch and the lease, and closes the store: the node has no resident host any more. */
  void stop() {
    watch.close();
    lease.stop();
    super.close();
  }
}
