// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import cni.plugins.etcd.client.TxnResponse;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The bits of a handle's addresses in their blocks. All transactions of this plugin keep them set;
 * a foreign write to etcd may have deleted them.
 */
final class HandleReservation {
  private final EtcdStore store;
  private final Handle handle;
  private final Deadline deadline;

  HandleReservation(EtcdStore store, Handle handle, Deadline deadline) {
    this.store = store;
    this.handle = handle;
    this.deadline = deadline;
  }

  /**
   * Returns the addresses whose bits are not set.
   *
   * @throws CniException as EtcdClient throws; code 6 if a block is invalid
   */
  List<InetAddress> unreserved() throws CniException {
    var read = new Txn();
    for (ReservedAddress it : handle.addresses()) {
      read.then(new Op.Get(store.keys().block(store.network(), it.owner(), it.block())));
    }
    TxnResponse response = store.commit(read, deadline);
    List<InetAddress> unreserved = new ArrayList<>();
    for (int i = 0; i < handle.addresses().size(); i++) {
      ReservedAddress it = handle.addresses().get(i);
      Optional<KeyValue> stored = response.get(i);
      if (stored.isEmpty()
          || !Block.parse(it.block(), it.owner(), stored.get()).isUsed(it.offset())) {
        unreserved.add(it.address());
      }
    }
    return unreserved;
  }

  /**
   * Sets the bits that are not set, in one transaction.
   *
   * @param unreserved the addresses, as {@link #unreserved} has returned them
   * @throws CniException code 11 if another attachment has got one of the addresses by now, or the
   *     handle or a block has changed; otherwise as {@link #unreserved}
   */
  void reserve(List<InetAddress> unreserved) throws CniException {
    var changes = new BlockChanges(store, new StoreView(store), deadline);
    for (ReservedAddress it : handle.addresses()) {
      Optional<Block> block = changes.find(it.block(), it.owner());
      if (block.isPresent()) {
        if (block.get().isUsed(it.offset()) && unreserved.contains(it.address())) {
          throw AddressHeldException.error(it.address(), "another attachment by now");
        }
        changes.put(block.get().reserve(it.offset()));
      } else {
        Block restored = Block.unclaimed(it.block(), it.owner()).reserve(it.offset());
        changes.restore(restored, readClaim(it));
      }
    }
    String key = store.keys().handle(store.network(), handle.node(), handle.attachment());
    Txn txn = new Txn().require(key, handle.modRevision());
    changes.addTo(txn);
    if (!store.commit(txn, deadline).succeeded()) {
      throw new CniException(
          ErrorCode.TRY_AGAIN_LATER,
          "the attachment's addresses or blocks in etcd have changed meanwhile: repeat the command");
    }
  }

  private Optional<KeyValue> readClaim(ReservedAddress address) throws CniException {
    String key = store.keys().claim(store.network(), address.block());
    Optional<KeyValue> claim = store.commit(Txn.read(new Op.Get(key)), deadline).get(0);
    if (claim.isPresent()) {
      String owner = StoredValue.parse(claim.get()).text("node");
      if (!owner.equals(address.owner())) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "block %s belongs to node %s by now: delete the attachment and add it again"
                .formatted(address.block().network(), owner));
      }
    }
    return claim;
  }
}
