// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.internal.LazyLogger;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Txn;
import java.net.InetAddress;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Frees addresses that are reserved in a node's blocks, but held by no attachment and no name. No
 * transaction of this plugin leaves such ones; a foreign write to etcd may.
 *
 * <p>Blocks and holders are read at one revision, and a block is only changed if it has not changed
 * since: each transaction that assigns an address changes its block.
 */
final class LeakedReservations {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  private final EtcdStore store;
  private final StoreView view;
  private final Deadline deadline;

  /**
   * Creates the operation.
   *
   * @param store the store as the node uses it
   */
  LeakedReservations(EtcdStore store, StoreView view, Deadline deadline) {
    this.store = store;
    this.view = view;
    this.deadline = deadline;
  }

  /**
   * Frees the addresses.
   *
   * @return their number
   * @throws CniException as EtcdClient throws; code 6 if a value is invalid: it may hold an address
   */
  int release() throws CniException {
    if (holdsAllItself()) {
      return 0;
    }
    EtcdKeys keys = store.keys();
    String network = store.network();
    List<List<KeyValue>> stored =
        store.listTogether(
            List.of(
                keys.blocks(network, store.node()), keys.handles(network), keys.stickies(network)),
            deadline);
    Set<InetAddress> held = new HashSet<>();
    for (KeyValue it : stored.get(1)) {
      held.addAll(store.parseHandle(it).addressList());
    }
    for (KeyValue it : stored.get(2)) {
      KeptAddresses.parse(it).addresses().forEach(kept -> held.add(kept.address()));
    }
    int released = 0;
    for (KeyValue it : stored.get(0)) {
      released += release(store.parseBlock(it), held);
    }
    return released;
  }

  /**
   * Returns whether the node's attachments hold all that is reserved in its blocks, as usual:
   * otherwise what all nodes hold has to be read.
   */
  private boolean holdsAllItself() throws CniException {
    EtcdKeys keys = store.keys();
    List<List<KeyValue>> stored =
        store.listTogether(
            List.of(
                keys.blocks(store.network(), store.node()),
                keys.handles(store.network(), store.node())),
            deadline);
    int reserved = 0;
    for (KeyValue it : stored.get(0)) {
      reserved += store.parseBlock(it).used().bitCount();
    }
    long held = 0;
    for (KeyValue it : stored.get(1)) {
      held +=
          store.parseHandle(it).addresses().stream()
              .filter(address -> address.owner().equals(store.node()))
              .count();
    }
    return reserved == held;
  }

  private int release(Block block, Set<InetAddress> held) throws CniException {
    Block released = block;
    for (int i = 0; i < block.id().size(); i++) {
      if (block.isUsed(i) && !held.contains(block.id().addressAt(i))) {
        released = released.release(i);
      }
    }
    int count = block.used().bitCount() - released.used().bitCount();
    if (count == 0) {
      return 0;
    }
    var changes = new BlockChanges(store, view, deadline);
    changes.put(released);
    var txn = new Txn();
    changes.addTo(txn);
    var response = store.commit(txn, deadline);
    if (!response.succeeded()) {
      return 0; // the block has changed: the next GC examines it again
    }
    changes.written(response.header().revision());
    LOG.get()
        .log(
            System.Logger.Level.WARNING,
            "{0} addresses of block {1} of node {2} were reserved, but nothing held them: they are"
                + " free",
            count,
            block.id().network(),
            block.owner());
    return count;
  }
}
