// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.PluginConfig;
import cni.api.PluginHost;
import cni.api.internal.LazyLogger;
import cni.plugins.etcd.NodeRecord.State;
import cni.plugins.etcd.client.EtcdWatch;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import cni.plugins.etcd.client.TxnResponse;
import java.time.Duration;
import java.util.HashSet;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
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

  private final ResidentSession session;
  private final EtcdStore store;
  private final EtcdWatch watch;
  private final PluginHost host;
  private final LostNodes lostNodes;
  private final Duration ttl;
  private final Duration renewal;
  private final Thread thread;
  private volatile @Nullable PluginConfig config;
  private volatile boolean isClosed;

  /** Only used by the thread, and after its end. */
  private long lease;

  /** The attachments whose addresses others have, which has been reported. */
  private final Set<AttachmentId> conflicts = new HashSet<>();

  private int failures;
  private boolean isFailing;
  private long epoch;

  private NodeLease(ResidentSession session, EtcdWatch watch, PluginHost host, Duration ttl) {
    this.ttl = ttl;
    renewal = ttl.dividedBy(RENEWALS);
    this.session = session;
    this.watch = watch;
    this.host = host;
    store = session.store();
    lostNodes = new LostNodes(store);
    thread = Thread.ofVirtual().name("cni-etcd-lease " + store.network()).unstarted(this::run);
  }

  static NodeLease start(ResidentSession session, EtcdWatch watch, PluginHost host, Duration ttl) {
    var lease = new NodeLease(session, watch, host, ttl);
    lease.thread.start();
    return lease;
  }

  /** Sets the configuration of the last ADD. */
  void use(PluginConfig used) {
    config = used;
  }

  private void run() {
    while (!isClosed) {
      Deadline deadline = Deadline.after(renewal);
      try {
        Known state = readKnown(deadline);
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
              "node {0} cannot renew its lease in etcd, or record or release what belongs to it: {1}",
              store.node(),
              failure.get());
    } else if (failure.isEmpty() && isFailing) {
      LOG.get()
          .log(System.Logger.Level.INFO, "node {0} renews its lease in etcd again", store.node());
    }
    isFailing = failure.isPresent() && !isClosed;
  }

  private void renew(Deadline deadline) throws CniException {
    String key = store.keys().alive(store.node(), store.network());
    if (lease != 0 && store.client().keepAlive(lease, deadline)) {
      // The key may have been deleted by hand, or with the lease of a session that was replaced.
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
  private record Known(Optional<StoreSchema> schema, Optional<KeyValue> registration) {}

  /** Reads the state, and requires that the node's name is not another machine's. */
  private Known readKnown(Deadline deadline) throws CniException {
    EtcdKeys keys = store.keys();
    TxnResponse read =
        store.commit(
            Txn.read(new Op.Get(keys.schema()), new Op.Get(keys.node(store.node()))), deadline);
    Optional<KeyValue> registration = read.get(1);
    NodeRecord.requireThisMachine(registration, store.node());
    if (read.get(0).isEmpty()) {
      return new Known(Optional.empty(), registration); // the first ADD creates the store
    }
    StoreSchema schema = StoreSchema.parse(read.get(0).get());
    store.adopt(schema, read.header());
    store.saveWitness();
    if (schema.epoch() != epoch) {
      epoch = schema.epoch();
      watch.restart();
    }
    return new Known(Optional.of(schema), registration);
  }

  /** Registers that the node has a resident host, and records its addresses if they may be lost. */
  private void recordAddresses(Known state, Deadline deadline) throws CniException {
    PluginConfig used = config;
    if (state.schema().isEmpty() || used == null) {
      return;
    }
    long current = state.schema().get().epoch();
    Optional<KeyValue> stored = state.registration();
    NodeRecord node = NodeRecord.registered(stored).orElseGet(NodeRecord::ofThisMachine);
    if (node.hasHost() && node.hasRecorded(store.network(), current)) {
      return;
    }
    // First: a release of this node that is in progress ends, so that no handle is deleted later.
    long registered =
        register(
            node.with(State.WITH_HOST), stored.map(KeyValue::modRevision).orElse(0L), deadline);
    var recorder = new AddressRecorder(session, used, host, conflicts, deadline);
    if (recorder.recordAll() || !state.schema().get().isRestored()) {
      register(node.withRecorded(store.network(), current), registered, deadline);
    }
  }

  /**
   * Writes the registration of this node.
   *
   * @return its revision
   * @throws CniException code 11 if it has changed meanwhile; otherwise as EtcdClient throws
   */
  private long register(NodeRecord node, long modRevision, Deadline deadline) throws CniException {
    String key = store.keys().node(store.node());
    Txn write = new Txn().require(key, modRevision).then(new Op.Put(key, node.toJson()));
    TxnResponse response = store.commit(write, deadline);
    if (!response.succeeded()) {
      throw new CniException(
          ErrorCode.TRY_AGAIN_LATER, "the registration of the node has changed meanwhile");
    }
    return response.header().revision();
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
    Optional<NodeRecord> node = NodeRecord.registered(stored);
    if (node.isPresent()) {
      String changed = node.get().with(State.WITHOUT_HOST).toJson();
      store.commit(
          new Txn()
              .require(key, stored.map(KeyValue::modRevision).orElse(0L))
              .then(new Op.Put(key, changed)),
          deadline);
    }
  }
}
