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
    Candidates candidates = readCandidates(deadline);
    for (String node : candidates.released()) {
      release(node, deadline);
    }
    lostSince.keySet().retainAll(candidates.lost());
    long now = System.nanoTime();
    if (now - lastRead > MAX_GAP.toNanos()) {
      lostSince.clear(); // while etcd was away, the nodes could not renew their leases
    }
    lastRead = now;
    for (String node : candidates.lost()) {
      long since = lostSince.computeIfAbsent(node, _ -> now);
      if (now - since >= after.toNanos()) {
        release(node, deadline);
        lostSince.remove(node);
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

  /**
   * Nodes that may have to be released.
   *
   * @param lost those whose resident host is lost
   * @param released those whose release was begun, and interrupted
   */
  private record Candidates(Set<String> lost, Set<String> released) {}

  private Candidates readCandidates(Deadline deadline) throws CniException {
    var candidates = new Candidates(new HashSet<>(), new HashSet<>());
    String nodes = store.keys().nodes();
    for (KeyValue it : store.list(nodes, deadline).keys()) {
      String node = it.key().substring(nodes.length());
      try {
        switch (NodeRecord.parse(it).state()) {
          case WITHOUT_HOST -> {}
          case WITH_HOST -> candidates.lost().add(node);
          case RELEASED -> candidates.released().add(node);
        }
      } catch (CniException e) {
        LOG.get().log(System.Logger.Level.WARNING, "a node is left out: {0}", e.getMessage());
      }
    }
    candidates.lost().removeAll(store.readAliveNodes(deadline));
    return candidates;
  }

  private void release(String node, Deadline deadline) throws CniException {
    try {
      int released = new NodeRelease(store, deadline).release(node, false);
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "node {0} was lost: the addresses of {1} attachments are released",
              node,
              released);
    } catch (CniException e) {
      if (!e.is(ErrorCode.INVALID_PARAMETER)) { // otherwise: it is back
        throw e;
      }
    }
  }
}
