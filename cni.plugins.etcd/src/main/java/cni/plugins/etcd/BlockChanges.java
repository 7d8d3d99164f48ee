// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Deadline;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import cni.plugins.etcd.client.TxnResponse;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The blocks that one transaction changes. etcd refuses a transaction that writes a key twice:
 * changes of one block are merged.
 */
final class BlockChanges {
  private final EtcdStore store;
  private final StoreView view;
  private final Deadline deadline;

  /** By key. */
  private final Map<String, Block> changed = new LinkedHashMap<>();

  /** The revisions of claims whose blocks have been deleted by something else. */
  private final Map<BlockId, Long> orphanedClaims = new HashMap<>();

  /** Blocks of other nodes, as they were read for this transaction, by key. */
  private final Map<String, Optional<Block>> others = new LinkedHashMap<>();

  BlockChanges(EtcdStore store, StoreView view, Deadline deadline) {
    this.store = store;
    this.view = view;
    this.deadline = deadline;
  }

  private String key(BlockId id, String owner) {
    return store.keys().block(store.network(), owner, id);
  }

  /** Returns the blocks of this node, with the changes. */
  List<Block> own() {
    Map<String, Block> own = new LinkedHashMap<>();
    view.blocks().forEach(it -> own.put(key(it.id(), it.owner()), it));
    changed.forEach(
        (key, block) -> {
          if (block.owner().equals(store.node())) {
            own.put(key, block);
          }
        });
    return new ArrayList<>(own.values());
  }

  /**
   * Returns a block with the changes; absent if its owner has not claimed it.
   *
   * @throws CniException as EtcdClient throws; code 6 if the value is invalid
   */
  Optional<Block> find(BlockId id, String owner) throws CniException {
    String key = key(id, owner);
    Block present = changed.get(key);
    if (present != null) {
      return Optional.of(present);
    }
    Optional<Block> known = owner.equals(store.node()) ? view.block(id) : Optional.empty();
    return known.isPresent() ? known : read(id, owner, key);
  }

  private Optional<Block> read(BlockId id, String owner, String key) throws CniException {
    Optional<Block> read = others.get(key);
    if (read == null) {
      TxnResponse response = store.commit(Txn.read(new Op.Get(key)), deadline);
      Optional<KeyValue> stored = response.get(0);
      read =
          stored.isPresent() ? Optional.of(Block.parse(id, owner, stored.get())) : Optional.empty();
      others.put(key, read);
    }
    return read;
  }

  /** Returns a block that was read just now, with the changes if there are any. */
  Block withChanges(Block read) {
    return changed.getOrDefault(key(read.id(), read.owner()), read);
  }

  /** Changes a block. One with the revision 0 is claimed. */
  void put(Block block) {
    changed.put(key(block.id(), block.owner()), block);
  }

  /**
   * Restores a block that does not exist any more, under its claim if that still does.
   *
   * @param claim the claim, which is of the same node
   */
  void restore(Block block, Optional<KeyValue> claim) {
    claim.ifPresent(it -> orphanedClaims.put(block.id(), it.modRevision()));
    put(block);
  }

  /** Reserves an address of a block. */
  ReservedAddress reserve(Block block, int offset) {
    put(block.reserve(offset));
    return new ReservedAddress(block.id().addressAt(offset), block.id(), block.owner());
  }

  /**
   * Releases an address, if its block exists.
   *
   * @throws CniException as {@link #find}
   */
  void release(ReservedAddress address) throws CniException {
    Optional<Block> block = find(address.block(), address.owner());
    if (block.isPresent()) {
      put(block.get().release(address.offset()));
    }
  }

  /**
   * Adds the changes to a transaction: it fails if a block has changed since it was read, and then
   * reads it. Blocks without a reserved address are given back.
   */
  void addTo(Txn txn) {
    changed.forEach(
        (key, block) -> {
          String claim = store.keys().claim(store.network(), block.id());
          txn.require(key, block.modRevision()).otherwise(new Op.Get(key));
          if (block.modRevision() == 0) {
            txn.require(claim, orphanedClaims.getOrDefault(block.id(), 0L));
            txn.otherwise(new Op.Get(claim));
            txn.then(new Op.Put(claim, EtcdStore.nodeValue(block.owner())));
          }
          if (block.isEmpty()) {
            txn.then(new Op.Delete(claim)).then(new Op.Delete(key));
          } else {
            txn.then(new Op.Put(key, block.toJson()));
          }
        });
  }

  /** Returns the keys of the blocks that change, which a failed transaction has read. */
  Collection<String> keys() {
    return changed.keySet();
  }

  /** Reports that the transaction has succeeded. */
  void written(long revision) {
    view.written(changed.values(), revision);
  }
}
