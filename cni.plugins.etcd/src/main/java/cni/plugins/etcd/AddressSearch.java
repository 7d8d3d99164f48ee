// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.internal.LazyLogger;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import cni.plugins.etcd.client.TxnResponse;
import cni.plugins.ipam.range.RangeSet;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Finds a free address for one call of ADD: in a block of this node, in a block that no node has
 * claimed, or in a block of another node if there is no other.
 */
final class AddressSearch {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  private final EtcdStore store;
  private final StoreView view;
  private final EtcdConfig config;
  private final Deadline deadline;

  /**
   * Blocks that are known to be claimed. The claims are only read after one has failed, or if no
   * block seems to be free: with many unclaimed blocks, a random one is probably free.
   */
  private final Set<BlockId> claimed = new HashSet<>();

  AddressSearch(EtcdStore store, StoreView view, EtcdConfig config, Deadline deadline) {
    this.store = store;
    this.view = view;
    this.config = config;
    this.deadline = deadline;
  }

  /**
   * Adopts the claims that a failed transaction has read.
   *
   * @throws CniException as EtcdClient throws; code 6 if a key or a value is invalid
   */
  void refresh(TxnResponse response) throws CniException {
    String prefix = store.keys().claims(store.network());
    Set<BlockId> found = new HashSet<>();
    for (KeyValue it : response.all()) {
      if (it.key().startsWith(prefix)) {
        found.add(BlockId.parse(it.key().substring(prefix.length()), it.key()));
      }
    }
    if (!found.isEmpty()) {
      readBlocks();
      claimed.addAll(found); // also without a block, which only a foreign write to etcd leaves
    }
  }

  /**
   * Reads the blocks of all nodes, as they are at one revision. Invalid ones are left out, so that
   * a wrong value does not stop the nodes that do not own it.
   */
  private List<Block> readBlocks() throws CniException {
    List<Block> blocks = new ArrayList<>();
    claimed.clear();
    for (KeyValue it : store.list(store.keys().blocks(store.network()), deadline).keys()) {
      try {
        claimed.add(store.blockId(it));
        blocks.add(store.parseBlock(it));
      } catch (CniException e) {
        LOG.get().log(System.Logger.Level.WARNING, "a block is left out: {0}", e.getMessage());
      }
    }
    return blocks;
  }

  /**
   * Reserves the next free address of a range set.
   *
   * @return absent if the set has none
   * @throws CniException as EtcdClient throws; code 6 if a key or a value is invalid
   */
  Optional<ReservedAddress> reserveNext(RangeSet set, BlockChanges changes) throws CniException {
    Optional<ReservedAddress> found = reserveInOwn(set, changes);
    if (found.isEmpty()) {
      found = reserveInUnclaimed(config.layout(set), changes);
    }
    return found.isPresent() ? found : claimOrBorrow(set, changes);
  }

  /**
   * Reserves an address in a block of this node.
   *
   * @return absent if none of them has a free one
   * @throws CniException as EtcdClient throws; code 6 if a key or a value is invalid
   */
  Optional<ReservedAddress> reserveInOwn(RangeSet set, BlockChanges changes) throws CniException {
    BlockLayout layout = config.layout(set);
    Optional<ReservedAddress> found = reserveInFullest(layout, changes);
    return found.isEmpty() && view.loadAllBlocks(deadline)
        ? reserveInFullest(layout, changes)
        : found;
  }

  /** Reserves in the fullest block that has a free address, so that others become empty. */
  private static Optional<ReservedAddress> reserveInFullest(
      BlockLayout layout, BlockChanges changes) {
    List<Block> blocks = changes.own();
    blocks.sort(Comparator.comparingInt((Block it) -> it.used().bitCount()).reversed());
    return reserveInFirst(blocks, layout, changes);
  }

  private static Optional<ReservedAddress> reserveInFirst(
      List<Block> blocks, BlockLayout layout, BlockChanges changes) {
    for (Block block : blocks) {
      if (block.used().bitCount() < block.id().size()) {
        OptionalInt free = block.nextFree(layout.usable(block.id()));
        if (free.isPresent()) {
          return Optional.of(changes.reserve(block, free.getAsInt()));
        }
      }
    }
    return Optional.empty();
  }

  private Optional<ReservedAddress> reserveInUnclaimed(BlockLayout layout, BlockChanges changes)
      throws CniException {
    Set<BlockId> own = new HashSet<>();
    changes.own().forEach(it -> own.add(it.id()));
    Optional<BlockId> block =
        layout.find(
            ThreadLocalRandom.current(),
            claimed.size(),
            it -> !own.contains(it) && !claimed.contains(it));
    if (block.isEmpty()) {
      return Optional.empty();
    }
    Block unclaimed = Block.unclaimed(block.get(), store.node());
    return reserveInFirst(List.of(unclaimed), layout, changes);
  }

  /**
   * Claims a block that no node has, or borrows an address of a block of another node. Reads all
   * blocks at one revision, because the claims known to this call may be stale.
   *
   * @return absent if there is none
   * @throws CniException as EtcdClient throws; code 6 if a key or a value is invalid
   */
  Optional<ReservedAddress> claimOrBorrow(RangeSet set, BlockChanges changes) throws CniException {
    BlockLayout layout = config.layout(set);
    List<Block> blocks = new ArrayList<>(readBlocks());
    Optional<ReservedAddress> found = reserveInUnclaimed(layout, changes);
    if (found.isPresent()) {
      return found;
    }
    blocks.replaceAll(changes::withChanges);
    blocks.removeIf(it -> it.owner().equals(store.node()));
    Collections.shuffle(blocks, ThreadLocalRandom.current());
    return reserveInFirst(blocks, layout, changes);
  }

  /**
   * Reserves a requested address. One that is reserved already, but held by nothing, is taken: if
   * its block does not change until the transaction, no other call can have got it.
   *
   * @throws CniException code 11 if it is reserved ({@link AddressHeldException}); otherwise as
   *     EtcdClient throws
   */
  ReservedAddress reserve(InetAddress address, BlockChanges changes) throws CniException {
    BlockId id = config.blockOf(address);
    Block block = findOrClaim(id, changes);
    int offset = id.offsetOf(address);
    if (block.isUsed(offset)) {
      Optional<String> holder = store.findHolder(address, deadline);
      if (holder.isPresent()) {
        throw AddressHeldException.error(address, holder.get());
      }
    }
    return changes.reserve(block, offset);
  }

  private Block findOrClaim(BlockId id, BlockChanges changes) throws CniException {
    Optional<Block> own = changes.find(id, store.node());
    if (own.isPresent()) {
      return own.get();
    }
    Optional<KeyValue> claim = readClaim(id);
    if (claim.isPresent()) {
      String owner = StoredValue.parse(claim.get()).text("node");
      Optional<Block> block = changes.find(id, owner);
      if (block.isPresent()) {
        return block.get();
      }
      if (readClaim(id).equals(claim)) {
        throw new CniException(
            ErrorCode.DECODING_FAILURE,
            "%s in etcd is the claim of node %s, but its block was deleted by something else: run"
                    .formatted(claim.get().key(), owner)
                + " \"cni repair\" for the attachments that have addresses of it (cni ipam show), or"
                + " delete the key if there are none");
      }
    }
    return Block.unclaimed(id, store.node()); // given back meanwhile: the transaction decides
  }

  private Optional<KeyValue> readClaim(BlockId id) throws CniException {
    Txn read = Txn.read(new Op.Get(store.keys().claim(store.network(), id)));
    return store.commit(read, deadline).get(0);
  }

  /** Returns the error (code 11) for a range set without a free address. */
  CniException exhausted(RangeSet set) {
    return new CniException(
        ErrorCode.TRY_AGAIN_LATER,
        "no address is free in range set %d (%s) of network %s in etcd: all %s are reserved, see"
                .formatted(
                    config.ranges().sets().indexOf(set),
                    set,
                    store.network(),
                    config.layout(set).capacity())
            + " \"cni ipam show "
            + store.network()
            + "\"; delete attachments, run GC on each node, release nodes that are gone, or give the"
            + " network a larger range");
  }
}
