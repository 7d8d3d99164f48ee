// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Deadline;
import cni.plugins.ipam.range.RangeSet;
import java.util.Optional;

/** Checks that an ADD could succeed (STATUS), without writing anything. */
final class AvailabilityCheck {
  private final Pool pool;
  private final EtcdConfig config;
  private final Deadline deadline;

  AvailabilityCheck(Pool pool, EtcdConfig config, Deadline deadline) {
    this.pool = pool;
    this.config = config;
    this.deadline = deadline;
  }

  /**
   * Runs the check.
   *
   * @throws CniException code 11 if etcd does not answer, was restored from a backup, or a range
   *     set has no free address; otherwise as ADD
   */
  void run() throws CniException {
    EtcdStore store = pool.store();
    var view = new PoolView(store); // not the known one: the store has to answer
    view.load(deadline);
    Optional<StoreSchema> schema = view.schema();
    if (schema.isPresent()) {
      schema.get().requireNotRestored(store.network());
    }
    view.requireUsable(config.blockSizes());
    var search = new AddressSearch(store, view, config, deadline);
    search.readClaims();
    for (RangeSet set : config.ranges().sets()) {
      var changes = new BlockChanges(store, view, deadline);
      if (search.reserveNext(set, changes).isEmpty() && !canEvict(set)) {
        throw search.exhausted(set);
      }
    }
  }

  /** Whether addresses of the set are only kept for a name. */
  private boolean canEvict(RangeSet set) throws CniException {
    BlockLayout layout = config.layout(set);
    return pool.store().readKept(deadline).stream()
        .flatMap(it -> it.addresses().stream())
        .anyMatch(it -> layout.isUsable(it.address()));
  }
}
