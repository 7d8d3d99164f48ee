// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.internal.LazyLogger;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;

/**
 * Releases nodes whose resident host has been lost for a configured time ({@code releaseAfter}).
 * One node of the cluster does so; its key ends with its lease. It counts the time by its own
 * monotonic clock, from the moment at which it has noticed the loss.
 */
final class LostNodes {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  /** The time without an answer of etcd after which the times of lost nodes begin again. */
  private static final Duration MAX_GAP = Duration.ofSeconds(30);

  private final EtcdStore store;
  private long lastRead = System.nanoTime();

  /** When each lost node was noticed, by {@link System#nanoTime}. */
  private final Map<String, Long> lostSince = new HashMap<>();

  LostNodes(EtcdStore store) {
    this.store = store;
  }

  /**
   * Releases nodes, if this node is the one that does so.
   *
   * @param lease the lease of this node
   * @throws CniException as EtcdClient throws
   */
  void release(long lease, Duration after, Deadline deadline) throws CniException {
    if (!isReaper(lease, deadline)) {
      lostSince.clear();
      return;
    }
    Set<String> lost = readLost(deadline);
    lostSince.keySet().retainAll(lost);
    long now = System.nanoTime();
    if (now - lastRead > MAX_GAP.toNanos()) {
      lostSince.clear(); // while etcd was away, the nodes could not renew their leases
    }
    lastRead = now;
    for (String node : lost) {
      long since = lostSince.computeIfAbsent(node, _ -> now);
      if (now - since >= after.toNanos()) {
        release(node, after, deadline);
      }
    }
  }

  private boolean isReaper(long lease, Deadline deadline) throws CniException {
    String key = store.keys().reaper();
    String value = EtcdStore.nodeValue(store.node());
    Txn claim =
        new Txn()
            .requireAbsent(key)
            .then(new Op.Put(key, value, OptionalLong.of(lease)))
            .otherwise(new Op.Get(key));
    var response = store.commit(claim, deadline);
    return response.succeeded()
        || response.get(0).filter(it -> it.value().equals(value)).isPresent();
  }

  private Set<String> readLost(Deadline deadline) throws CniException {
    Set<String> lost = new HashSet<>();
    String nodes = store.keys().nodes();
    for (KeyValue it : store.list(nodes, deadline).keys()) {
      if (NodeRecord.parse(it).hasHost()) {
        lost.add(it.key().substring(nodes.length()));
      }
    }
    String alive = store.keys().allAlive();
    for (KeyValue it : store.client().list(alive, true, deadline).keys()) {
      lost.remove(it.key().substring(alive.length()).split("/", 2)[0]);
    }
    return lost;
  }

  private void release(String node, Duration after, Deadline deadline) throws CniException {
    try {
      int released = new NodeRelease(store, deadline).release(node, false);
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "node {0} has been lost for {1} s: the addresses of {2} attachments are released",
              node,
              after.toSeconds(),
              released);
    } catch (CniException e) {
      if (!e.is(ErrorCode.INVALID_PARAMETER)) { // otherwise: it is back
        throw e;
      }
    }
    lostSince.remove(node);
  }
}
