// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Deadline;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import cni.plugins.ipam.range.RangeSet;
import java.util.List;
import java.util.Optional;

/**
 * Checks that an ADD could succeed (STATUS). Changes nothing, unless it detects a restore from a
 * backup, which is marked.
 */
final class AvailabilityCheck {
  /** A revision that no key has. */
  private static final long NO_REVISION = Long.MAX_VALUE;

  private final EtcdStore store;
  private final EtcdConfig config;
  private final Deadline deadline;

  AvailabilityCheck(EtcdStore store, EtcdConfig config, Deadline deadline) {
    this.store = store;
    this.config = config;
    this.deadline = deadline;
  }

  /**
   * Runs the check.
   *
   * @throws CniException code 11 if etcd does not answer, was restored from a backup, or a range
   *     set has no free address; code 5 if etcd writes nothing, as when its space is used up;
   *     otherwise as ADD
   */
  void run() throws CniException {
    requireWritable();
    var view = new StoreView(store); // not the known one: the store has to answer
    view.load(deadline);
    Optional<StoreSchema> schema = view.schema();
    if (schema.isPresent()) {
      schema.get().requireNotRestored(store.network());
    }
    view.requireUsable(config.blockSizes());
    var search = new AddressSearch(store, view, config, deadline);
    for (RangeSet set : config.ranges().sets()) {
      var changes = new BlockChanges(store, view, deadline);
      if (search.reserveInOwn(set, changes).isEmpty()
          && search.claimOrBorrow(set, changes).isEmpty()
          && !canEvict(set)) {
        throw search.exhausted(set);
      }
    }
  }

  /**
   * Performs a transaction that would write as an ADD does, if it did not fail by its comparison.
   * etcd refuses it if the user may not write, or its space is used up, and answers only if a
   * majority of its members does.
   */
  private void requireWritable() throws CniException {
    EtcdKeys keys = store.keys();
    String network = store.network();
    Txn probe = new Txn().require(keys.schema(), NO_REVISION);
    for (String key :
        List.of(
            keys.schema(),
            keys.node(store.node()),
            keys.networks() + network,
            keys.claims(network) + "probe",
            keys.blocks(network, store.node()) + "probe",
            keys.handles(network, store.node()) + "probe",
            keys.sticky(network, "probe"))) {
      probe.then(new Op.Put(key, "{}"));
    }
    store.commit(probe, deadline);
  }

  /** Whether addresses of the set are only kept for a name. */
  private boolean canEvict(RangeSet set) throws CniException {
    BlockLayout layout = config.layout(set);
    return store.readKept(deadline).stream()
        .flatMap(it -> it.addresses().stream())
        .anyMatch(it -> layout.isUsable(it.address()));
  }
}
