// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.PluginHost;
import cni.api.internal.LazyLogger;
import cni.plugins.etcd.client.EtcdWatch;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import cni.plugins.etcd.client.TxnResponse;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * Shows the cluster that this node runs, by a key with a lease. That the lease ends releases
 * nothing: an operator does, or the nodes after a configured time ({@link LostNodes}).
 *
 * <p>At each renewal, reads the state of the store: after a restore from a backup, and after a
 * release of this node, the addresses of its attachments are recorded again.
 */
final class NodeLease {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  static final Duration DEFAULT_TTL = Duration.ofSeconds(30);

  /** How often a lease is renewed before it ends. */
  private static final int RENEWALS = 3;

  private static final Duration STOP_TIMEOUT = Duration.ofSeconds(1);

  private final ResidentPool pool;
  private final EtcdStore store;
  private final EtcdWatch watch;
  private final PluginHost host;
  private final LostNodes lostNodes;
  private final Duration ttl;
  private final Duration renewal;
  private final Thread thread;
  private volatile @Nullable EtcdConfig config;
  private volatile boolean isClosed;

  /** Only used by the thread, and after its end. */
  private long lease;

  private int failures;
  private boolean isFailing;
  private long epoch;

  private NodeLease(ResidentPool pool, EtcdWatch watch, PluginHost host, Duration ttl) {
    this.ttl = ttl;
    renewal = ttl.dividedBy(RENEWALS);
    this.pool = pool;
    this.watch = watch;
    this.host = host;
    store = pool.store();
    lostNodes = new LostNodes(store);
    thread = Thread.ofVirtual().name("etcd lease of " + store.network()).unstarted(this::run);
  }

  static NodeLease start(ResidentPool pool, EtcdWatch watch, PluginHost host, Duration ttl) {
    var lease = new NodeLease(pool, watch, host, ttl);
    lease.thread.start();
    return lease;
  }

  /** Takes over the configuration of a call. */
  void use(EtcdConfig used) {
    config = used;
  }

  private void run() {
    while (!isClosed) {
      Deadline deadline = Deadline.after(renewal);
      try {
        State state = readState(deadline);
        renew(deadline);
        recordAddresses(state, deadline);
        if (store.config().releaseAfter().isPresent()) {
          lostNodes.release(lease, store.config().releaseAfter().get(), deadline);
        }
        reportRenewal(Optional.empty());
      } catch (CniException e) {
        reportRenewal(Optional.of(e.getMessage()));
      } catch (RuntimeException e) {
        LOG.get().log(System.Logger.Level.ERROR, "a defect of the etcd plugin", e);
      }
      reconnectWatch();
      pause();
    }
  }

  /** Logs the first failure of a row, and its end. */
  private void reportRenewal(Optional<String> failure) {
    if (failure.isPresent() && !isFailing) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "the lease of node {0} in etcd cannot be renewed: {1}",
              store.node(),
              failure.get());
    } else if (failure.isEmpty() && isFailing) {
      LOG.get()
          .log(
              System.Logger.Level.INFO,
              "the lease of node {0} in etcd is renewed again",
              store.node());
    }
    isFailing = failure.isPresent() && !isClosed;
  }

  private void renew(Deadline deadline) throws CniException {
    String key = store.keys().alive(store.node(), store.network());
    if (lease != 0 && store.client().keepAlive(lease, deadline)) {
      // The key may have been deleted by hand, or with the lease of a pool that was replaced.
      var put = new Op.Put(key, "{}", OptionalLong.of(lease));
      store.commit(new Txn().requireAbsent(key).then(put), deadline);
      return;
    }
    long granted = store.client().grantLease(ttl, deadline);
    store.commit(new Txn().then(new Op.Put(key, "{}", OptionalLong.of(granted))), deadline);
    lease = granted;
  }

  /** A connection that a firewall has forgotten delivers nothing, without an error. */
  private void reconnectWatch() {
    int now = store.client().failures();
    if (now != failures) {
      failures = now;
      watch.reconnect();
    }
  }

  /** The schema and the registration of this node. */
  private record State(Optional<StoreSchema> schema, Optional<KeyValue> registration) {}

  /** Reads the state, and requires that the node's name is not another machine's. */
  private State readState(Deadline deadline) throws CniException {
    EtcdKeys keys = store.keys();
    TxnResponse read =
        store.commit(
            Txn.read(new Op.Get(keys.schema()), new Op.Get(keys.node(store.node()))), deadline);
    Optional<KeyValue> registration = read.get(1);
    if (registration.isPresent()) {
      NodeRecord.parse(registration.get()).requireThisMachine(store.node());
    }
    if (read.get(0).isEmpty()) {
      return new State(Optional.empty(), registration); // the first ADD creates the store
    }
    StoreSchema schema = StoreSchema.parse(read.get(0).get());
    store.adoptEpoch(schema, read.header());
    store.saveWitness();
    if (schema.epoch() != epoch) {
      epoch = schema.epoch();
      watch.restart();
    }
    return new State(Optional.of(schema), registration);
  }

  /** Registers that the node has a resident host, and records its addresses if they may be lost. */
  private void recordAddresses(State state, Deadline deadline) throws CniException {
    EtcdConfig used = config;
    if (state.schema().isEmpty() || used == null) {
      return;
    }
    long current = state.schema().get().epoch();
    Optional<KeyValue> stored = state.registration();
    NodeRecord node =
        stored.isPresent() ? NodeRecord.parse(stored.get()) : NodeRecord.ofThisMachine();
    if (node.hasHost() && node.hasRecorded(store.network(), current)) {
      return;
    }
    new AddressRecorder(pool, used, host, deadline).recordAll();
    String key = store.keys().node(store.node());
    store.commit(
        new Txn()
            .require(key, stored.map(KeyValue::modRevision).orElse(0L))
            .then(new Op.Put(key, node.withRecorded(store.network(), current).toJson())),
        deadline);
  }

  private void pause() {
    try {
      Thread.sleep(renewal);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Ends the renewal, without waiting for it. */
  void retire() {
    isClosed = true;
    thread.interrupt();
  }

  /**
   * Ends the lease, and registers that the node has no resident host any more, so that the missing
   * lease does not look like a loss of the node.
   */
  void stop() {
    retire();
    Deadline deadline = Deadline.after(STOP_TIMEOUT);
    try {
      if (thread.join(STOP_TIMEOUT) && lease != 0) {
        unregisterHost(deadline);
        store.client().revokeLease(lease, deadline);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "a lease ends in {0} s: {1}", ttl.toSeconds(), e);
    }
  }

  private void unregisterHost(Deadline deadline) throws CniException {
    String key = store.keys().node(store.node());
    Optional<KeyValue> stored = store.commit(Txn.read(new Op.Get(key)), deadline).get(0);
    if (stored.isPresent()) {
      store.commit(
          new Txn()
              .require(key, stored.get().modRevision())
              .then(new Op.Put(key, NodeRecord.parse(stored.get()).withoutHost().toJson())),
          deadline);
    }
  }
}
