// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.internal.LazyLogger;
import cni.plugins.etcd.client.EtcdClient.Listing;
import cni.plugins.etcd.client.EtcdWatch;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import cni.plugins.etcd.client.TxnResponse;
import cni.plugins.etcd.client.TxnResponse.Header;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * What this process knows of a network's store: the schema, the registration of this node, the
 * block sizes, and blocks that this node has claimed. It may be out of date: every transaction
 * compares the keys that it relies on, and reads them again if they have changed.
 *
 * <p>A single call knows the blocks that were written last. A resident host follows all blocks of
 * its node by a watch, so that an ADD needs one transaction and reads nothing.
 */
final class StoreView implements EtcdWatch.Listener {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  /**
   * The number of own blocks that a single call reads. Those with free addresses are among the
   * blocks written last: an ADD fills the block that it writes, and a DEL writes its block.
   */
  private static final int NEWEST_BLOCKS = 8;

  private final EtcdStore store;
  private final String ownBlocks;

  /** The schema, the registration and the block sizes, by key; absent ones are not contained. */
  private final Map<String, KeyValue> records = new HashMap<>();

  private final Map<BlockId, Block> blocks = new TreeMap<>(StoreView::compare);
  private long epoch;
  private boolean isLoaded;
  private boolean hasAllBlocks;

  StoreView(EtcdStore store) {
    this.store = store;
    ownBlocks = store.keys().blocks(store.network(), store.node());
  }

  private static int compare(BlockId a, BlockId b) {
    return a.toString().compareTo(b.toString());
  }

  private List<String> recordKeys() {
    EtcdKeys keys = store.keys();
    return List.of(keys.schema(), keys.node(store.node()), keys.network(store.network()));
  }

  /**
   * Reads the store, unless that has been done.
   *
   * @throws CniException as EtcdClient throws; code 6 or 2 if a value is invalid
   */
  void load(Deadline deadline) throws CniException {
    synchronized (this) {
      if (isLoaded) {
        return;
      }
    }
    var read = new Txn();
    reads().forEach(read::then);
    TxnResponse response = store.commit(read, deadline);
    boolean isAll = response.reads().getLast().size() < NEWEST_BLOCKS;
    refresh(recordKeys(), response);
    synchronized (this) {
      isLoaded = true;
      hasAllBlocks |= isAll;
    }
  }

  /**
   * Reads the store and all blocks of this node.
   *
   * @throws CniException as {@link #load}
   */
  void reload(Deadline deadline) throws CniException {
    synchronized (this) {
      isLoaded = false;
      hasAllBlocks = false;
    }
    load(deadline);
    replaceBlocks(store.list(ownBlocks, deadline));
  }

  /** Returns the operations that read the view anew. */
  List<Op> reads() {
    List<Op> reads = new ArrayList<>();
    recordKeys().forEach(it -> reads.add(new Op.Get(it)));
    reads.add(Op.GetPrefix.newest(ownBlocks, NEWEST_BLOCKS));
    return reads;
  }

  /**
   * Adopts what a transaction has read.
   *
   * @param keys the single keys that it has read, which do not exist if it has not found them
   * @throws CniException code 6 or 2 if a value is invalid
   */
  void refresh(Collection<String> keys, TxnResponse response) throws CniException {
    Set<String> missing = new HashSet<>(keys);
    missing.addAll(recordKeys());
    for (KeyValue it : response.all()) {
      if (it.key().equals(store.keys().schema())) {
        enterEpoch(StoreSchema.parse(it), response.header());
      }
    }
    requireNoneOlder(response);
    requireSchemaIfKnown(response);
    for (KeyValue it : response.all()) {
      missing.remove(it.key());
      put(it);
    }
    for (String key : missing) {
      remove(key);
    }
  }

  /** Forgets the blocks if the store was restored from a backup: their revisions are others. */
  private synchronized void enterEpoch(StoreSchema schema, Header header) throws CniException {
    store.adopt(schema, header);
    if (schema.epoch() != epoch) {
      epoch = schema.epoch();
      blocks.clear();
      hasAllBlocks = false;
    }
  }

  /**
   * Marks the store as restored if a block is older than what is known of it. The revision of the
   * store may be higher than any that this host has seen, because others have written since.
   */
  private void requireNoneOlder(TxnResponse response) throws CniException {
    for (KeyValue it : response.all()) {
      if (it.key().startsWith(ownBlocks)) {
        long known = block(blockId(it.key())).map(Block::modRevision).orElse(0L);
        if (it.modRevision() < known && known <= response.header().revision()) {
          store.markRestored(response.header());
          return;
        }
      }
    }
  }

  /** Marks the store as restored if its schema was deleted: the handles may have been, too. */
  private void requireSchemaIfKnown(TxnResponse response) throws CniException {
    boolean isFound =
        response.all().stream().anyMatch(it -> it.key().equals(store.keys().schema()));
    if (!isFound && !store.seen().store().isEmpty()) {
      store.markRestored(response.header());
    }
  }

  private synchronized void put(KeyValue stored) throws CniException {
    if (stored.key().startsWith(ownBlocks)) {
      BlockId id = blockId(stored.key());
      Block known = blocks.get(id);
      if (known == null || known.modRevision() < stored.modRevision()) {
        blocks.put(id, Block.parse(id, store.node(), stored));
      }
    } else if (recordKeys().contains(stored.key())) {
      records.put(stored.key(), stored);
    }
  }

  private synchronized void remove(String key) throws CniException {
    records.remove(key);
    if (key.startsWith(ownBlocks)) {
      blocks.remove(blockId(key));
    }
  }

  private BlockId blockId(String key) throws CniException {
    return BlockId.parse(key.substring(ownBlocks.length()), key);
  }

  /** Returns the state of the store; absent if it is used for the first time. */
  synchronized Optional<StoreSchema> schema() throws CniException {
    KeyValue stored = records.get(store.keys().schema());
    return stored == null ? Optional.empty() : Optional.of(StoreSchema.parse(stored));
  }

  private synchronized Optional<KeyValue> record(String key) {
    return Optional.ofNullable(records.get(key));
  }

  /**
   * Requires that this node may use the store.
   *
   * @throws CniException code 7 if the block sizes are others, or another machine has the node's
   *     name
   */
  void requireUsable(BlockSizes sizes) throws CniException {
    EtcdKeys keys = store.keys();
    requireOwnNode();
    Optional<KeyValue> stored = record(keys.network(store.network()));
    if (stored.isPresent()) {
      sizes.requireSame(stored.get());
    }
  }

  /**
   * Requires that no other machine has the node's name.
   *
   * @throws CniException code 7 if one has
   */
  void requireOwnNode() throws CniException {
    NodeRecord.requireThisMachine(record(store.keys().node(store.node())), store.node());
  }

  /**
   * Reads the records anew and requires that no other machine has the node's name.
   *
   * @throws CniException code 7 if one has; otherwise as {@link #load}
   */
  void requireOwnNode(Deadline deadline) throws CniException {
    synchronized (this) {
      isLoaded = false;
    }
    load(deadline);
    requireOwnNode();
  }

  /**
   * Adds to a transaction that these records have not changed, and creates those that do not exist.
   * A node that was released registers again.
   *
   * @throws CniException code 6 if the registration is invalid
   */
  synchronized void guard(Txn txn, BlockSizes sizes) throws CniException {
    EtcdKeys keys = store.keys();
    guard(
        txn,
        keys.schema(),
        record(keys.schema()).isPresent(),
        StoreSchema.initial(store.seen()).toJson());
    String node = keys.node(store.node());
    boolean isRegistered = NodeRecord.registered(record(node)).isPresent();
    guard(txn, node, isRegistered, NodeRecord.ofThisMachine().toJson());
    String network = keys.network(store.network());
    guard(txn, network, record(network).isPresent(), sizes.toJson());
  }

  private void guard(Txn txn, String key, boolean isValid, String initial) {
    txn.require(key, record(key).map(KeyValue::modRevision).orElse(0L));
    if (!isValid) {
      txn.then(new Op.Put(key, initial));
      isLoaded = false; // if the transaction succeeds, the record has to be read
    }
  }

  /** Returns the blocks of this node that are known. */
  synchronized List<Block> blocks() {
    return List.copyOf(blocks.values());
  }

  synchronized Optional<Block> block(BlockId id) {
    return Optional.ofNullable(blocks.get(id));
  }

  /**
   * Reads all blocks of this node, unless they are known.
   *
   * @return whether there may be blocks that were not known
   * @throws CniException as EtcdClient throws; code 6 if a value is invalid
   */
  boolean loadAllBlocks(Deadline deadline) throws CniException {
    synchronized (this) {
      if (hasAllBlocks) {
        return false;
      }
    }
    replaceBlocks(store.list(ownBlocks, deadline));
    return true;
  }

  private void replaceBlocks(Listing listing) throws CniException {
    Map<BlockId, Block> read = new HashMap<>();
    for (KeyValue it : listing.keys()) {
      BlockId id = blockId(it.key());
      read.put(id, Block.parse(id, store.node(), it));
    }
    synchronized (this) {
      // What was written by this process after the reading stays.
      blocks
          .values()
          .removeIf(
              it -> it.modRevision() <= listing.header().revision() && !read.containsKey(it.id()));
      read.values().forEach(it -> blocks.merge(it.id(), it, StoreView::newer));
      hasAllBlocks = true;
    }
  }

  private static Block newer(Block a, Block b) {
    return a.modRevision() >= b.modRevision() ? a : b;
  }

  /** Adopts blocks of this node that a transaction has written; empty ones were deleted. */
  synchronized void written(Collection<Block> changed, long revision) {
    for (Block it : changed) {
      if (it.owner().equals(store.node())) {
        if (it.isEmpty()) {
          blocks.remove(it.id());
        } else {
          blocks.put(it.id(), it.writtenAt(revision));
        }
      }
    }
  }

  // The watch of a resident host.

  @Override
  public long load() throws CniException {
    Listing listing = store.list(ownBlocks, Deadline.none());
    replaceBlocks(listing);
    return listing.header().revision();
  }

  @Override
  public synchronized void apply(List<EtcdWatch.Change> changes) {
    for (EtcdWatch.Change it : changes) {
      try {
        apply(blockId(it.key()), it);
      } catch (CniException e) {
        LOG.get().log(System.Logger.Level.WARNING, "a block is ignored: {0}", e.getMessage());
      }
    }
  }

  private void apply(BlockId id, EtcdWatch.Change change) throws CniException {
    Block known = blocks.get(id);
    if (known == null || known.modRevision() < change.revision()) {
      blocks.remove(id);
      if (change.value().isPresent()) {
        blocks.put(id, Block.parse(id, store.node(), change.value().get()));
      }
    }
  }
}
