// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Lets addresses be assigned again after a restore from a backup. */
final class StoreResumption {
  private final EtcdStore store;
  private final Deadline deadline;

  StoreResumption(EtcdStore store, Deadline deadline) {
    this.store = store;
    this.deadline = deadline;
  }

  /**
   * Ends the state after a restore.
   *
   * @param force whether to do so although nodes have not recorded their addresses
   * @return whether the store was in that state
   * @throws CniException code 4 if nodes have not recorded their addresses
   */
  boolean resume(boolean force) throws CniException {
    String key = store.keys().schema();
    while (true) {
      deadline.check("the store was resumed");
      Optional<KeyValue> stored = store.commit(Txn.read(new Op.Get(key)), deadline).get(0);
      if (stored.isEmpty()) {
        return false;
      }
      StoreSchema schema = StoreSchema.parse(stored.get());
      if (schema.restored().isEmpty()) {
        return false;
      }
      List<String> missing = nodesNotRecorded(schema.epoch());
      if (!force && !missing.isEmpty()) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "these nodes have not recorded their addresses yet: %s. Start \"cni serve\" on them and"
                    .formatted(String.join(", ", missing))
                + " wait for 10 s, or run \"cni repair\" there and then use --force here; release"
                + " those that are gone");
      }
      Txn write =
          new Txn()
              .require(key, stored.get().modRevision())
              .then(new Op.Put(key, schema.resumed().toJson()));
      if (store.commit(write, deadline).succeeded()) {
        store.saveWitness();
        return true;
      }
    }
  }

  /**
   * Returns the nodes that have not recorded their addresses in an epoch: of a network that they
   * have used, as far as the backup shows, or of none.
   */
  private List<String> nodesNotRecorded(long epoch) throws CniException {
    Map<String, Set<String>> used = usedNetworks();
    List<String> nodes = new ArrayList<>();
    String prefix = store.keys().nodes();
    for (KeyValue it : store.list(prefix, deadline).keys()) {
      String name = it.key().substring(prefix.length());
      if (!hasRecorded(it, used.getOrDefault(name, Set.of()), epoch)) {
        nodes.add(name);
      }
    }
    return nodes;
  }

  /** Returns whether a node has recorded all its networks; false if its registration is invalid. */
  private static boolean hasRecorded(KeyValue registration, Set<String> used, long epoch) {
    try {
      NodeRecord node = NodeRecord.parse(registration);
      Set<String> networks = new HashSet<>(used);
      networks.addAll(node.recorded().keySet());
      return !node.recorded().isEmpty()
          && networks.stream().allMatch(network -> node.hasRecorded(network, epoch));
    } catch (CniException e) {
      return false;
    }
  }

  /** Returns the networks in which nodes have handles, by node. */
  private Map<String, Set<String>> usedNetworks() throws CniException {
    Map<String, Set<String>> used = new HashMap<>();
    String networks = store.keys().networks();
    for (KeyValue it : store.list(networks, deadline).keys()) {
      String network = it.key().substring(networks.length());
      String handles = store.keys().handles(network);
      for (KeyValue handle : store.client().list(handles, true, deadline).keys()) {
        String node = EtcdKeys.split(handle.key(), handles, 3)[0];
        used.computeIfAbsent(node, _ -> new HashSet<>()).add(network);
      }
    }
    return used;
  }
}
