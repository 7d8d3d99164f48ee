// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.internal.BootClock;
import cni.api.internal.LazyLogger;
import cni.plugins.etcd.client.KeyValue;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Releases the addresses of this node's attachments that do not exist any more (GC), in two passes:
 * the first one reads the handles at one revision and selects those that no valid attachment holds;
 * the second one deletes those of them that have not been written since.
 *
 * <p>Handles younger than a grace period are left to the next GC: the caller has listed the valid
 * attachments before, and an ADD in progress is not among them yet. Their age is that at the
 * beginning of the call, however long it then waits for other calls or for etcd, and is measured by
 * the time since boot, which no change of the clock affects. Handles of other nodes are never
 * touched.
 */
final class HandleCollector {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  private final EtcdStore store;
  private final StoreView view;
  private final Duration grace;
  private final Deadline deadline;

  /** The time since boot at which the call began. */
  private final Duration start = BootClock.now();

  /** Creates a collector at the beginning of the call. */
  HandleCollector(EtcdStore store, StoreView view, Duration grace, Deadline deadline) {
    this.store = store;
    this.view = view;
    this.grace = grace;
    this.deadline = deadline;
  }

  /**
   * Releases what none of the attachments holds, and {@link LeakedReservations}.
   *
   * @param valid the attachments that exist
   * @throws CniException as EtcdClient throws; code 6 if a value is invalid, after all others have
   *     been handled; code 7 if another machine has the node's name
   */
  void collect(Set<AttachmentId> valid) throws CniException {
    view.requireOwnNode(deadline); // otherwise the handles are another machine's
    List<Handle> stale = new ArrayList<>();
    List<AttachmentId> young = new ArrayList<>();
    List<CniException> invalid = new ArrayList<>();
    String own = store.keys().handles(store.network(), store.node());
    for (KeyValue stored : store.list(own, deadline).keys()) {
      try {
        Handle it = store.parseHandle(stored);
        if (!valid.contains(it.attachment())) {
          if (it.wasWrittenBefore(start.minus(grace))) {
            stale.add(it);
          } else {
            young.add(it.attachment());
          }
        }
      } catch (CniException e) {
        invalid.add(e);
      }
    }
    new HandleRelease(store, view, deadline).releaseUnchanged(stale);
    reportYoung(young);
    if (!invalid.isEmpty()) {
      throw invalid.getFirst();
    }
    new LeakedReservations(store, view, deadline).release();
  }

  private void reportYoung(List<AttachmentId> young) {
    if (!young.isEmpty()) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "the addresses of {0} attachments that are not valid are left to the next GC: they are"
                  + " younger than {1} s (ipam.gcGrace)",
              young.size(),
              grace.toSeconds());
    }
  }
}
