// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Json;
import cni.api.internal.LazyLogger;
import cni.plugins.etcd.RevisionWitness.Seen;
import cni.plugins.etcd.client.EtcdClient;
import cni.plugins.etcd.client.EtcdClient.Listing;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import cni.plugins.etcd.client.TxnResponse;
import cni.plugins.etcd.client.TxnResponse.Header;
import java.net.InetAddress;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * The addresses of one network in etcd, as this node uses them. Compares each response with what
 * this host has seen before: a store that was restored from a backup is marked as such ({@link
 * StoreSchema#restored}), which stops the ADDs of all nodes.
 */
final class EtcdStore implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  private final StoreConfig config;
  private final EtcdClient client;
  private final RevisionWitness witness;

  private EtcdStore(StoreConfig config, EtcdClient client, RevisionWitness witness) {
    this.config = config;
    this.client = client;
    this.witness = witness;
  }

  /**
   * Opens the store, which connects at the first request.
   *
   * @throws CniException code 7 if a file for TLS cannot be read or is invalid
   */
  static EtcdStore open(StoreConfig config) throws CniException {
    return new EtcdStore(config, EtcdClient.create(config.etcd()), RevisionWitness.read(config));
  }

  /** Returns the store as another node uses another network; it shares the client of this one. */
  EtcdStore of(String node, String network) {
    return new EtcdStore(config.of(node, network), client, witness);
  }

  StoreConfig config() {
    return config;
  }

  EtcdKeys keys() {
    return config.keys();
  }

  String network() {
    return config.network();
  }

  String node() {
    return config.node();
  }

  EtcdClient client() {
    return client;
  }

  /** Returns the epoch of the store, as far as this host knows. */
  long epoch() {
    return witness.seen().epoch();
  }

  /**
   * Performs a transaction, as {@link EtcdClient#commit}.
   *
   * @throws CniException as EtcdClient throws
   */
  TxnResponse commit(Txn txn, Deadline deadline) throws CniException {
    Seen before = witness.seen();
    TxnResponse response = client.commit(txn, deadline);
    observe(before, response.header(), deadline);
    return response;
  }

  /**
   * Reads all keys with a prefix, as {@link EtcdClient#list}.
   *
   * @throws CniException as EtcdClient throws
   */
  Listing list(String prefix, Deadline deadline) throws CniException {
    Seen before = witness.seen();
    Listing listing = client.list(prefix, false, deadline);
    observe(before, listing.header(), deadline);
    return listing;
  }

  /** Returns the value of a key that names a node. */
  static String nodeValue(String node) {
    return StoredValue.text(Json.object().put("node", node));
  }

  /**
   * Reads the blocks of all nodes.
   *
   * @throws CniException as EtcdClient throws; code 6 if a value is invalid
   */
  List<Block> readAllBlocks(Deadline deadline) throws CniException {
    return parseBlocks(list(keys().blocks(network()), deadline).keys());
  }

  /**
   * Parses blocks, of any nodes.
   *
   * @throws CniException code 6 if a key or a value is invalid
   */
  List<Block> parseBlocks(List<KeyValue> stored) throws CniException {
    String prefix = keys().blocks(network());
    List<Block> blocks = new ArrayList<>();
    for (KeyValue it : stored) {
      String[] parts = EtcdKeys.split(it.key(), prefix, 2);
      blocks.add(Block.parse(BlockId.parse(parts[1], it.key()), parts[0], it));
    }
    return blocks;
  }

  /**
   * Reads the attachments of a node, or of all nodes.
   *
   * @param prefix {@link EtcdKeys#handles}
   * @throws CniException as EtcdClient throws; code 6 if a value is invalid
   */
  List<Handle> readHandles(String prefix, Deadline deadline) throws CniException {
    String all = keys().handles(network());
    List<Handle> handles = new ArrayList<>();
    for (KeyValue it : list(prefix, deadline).keys()) {
      String[] parts = EtcdKeys.split(it.key(), all, 3);
      handles.add(Handle.parse(new AttachmentId(parts[1], parts[2]), parts[0], it));
    }
    return handles;
  }

  /**
   * Reads the addresses that are kept for names, those first that have been kept for the longest
   * time.
   *
   * @throws CniException as EtcdClient throws; code 6 if a value is invalid
   */
  List<KeptAddresses> readKept(Deadline deadline) throws CniException {
    List<KeptAddresses> kept = new ArrayList<>();
    for (KeyValue it : list(keys().stickies(network()), deadline).keys()) {
      kept.add(KeptAddresses.parse(it));
    }
    kept.sort(Comparator.comparingLong(KeptAddresses::modRevision));
    return kept;
  }

  /**
   * Returns who holds an address, for a message.
   *
   * @throws CniException as EtcdClient throws; code 6 if a value is invalid
   */
  String describeHolder(InetAddress address, Deadline deadline) throws CniException {
    for (Handle it : readHandles(keys().handles(network()), deadline)) {
      if (it.addresses().stream().anyMatch(held -> held.address().equals(address))) {
        return "container %s, interface %s on node %s"
            .formatted(it.attachment().containerId(), it.attachment().interfaceName(), it.node());
      }
    }
    String prefix = keys().stickies(network());
    for (KeptAddresses it : readKept(deadline)) {
      if (it.addresses().stream().anyMatch(held -> held.address().equals(address))) {
        return "the name " + it.key().substring(prefix.length()) + " (sticky)";
      }
    }
    return "another attachment";
  }

  private void observe(Seen before, Header header, Deadline deadline) throws CniException {
    if (before.isContradictedBy(header)) {
      handleRestore(before, header, deadline);
    } else if (witness.seen().epoch() == before.epoch()) { // otherwise of the store before
      witness.advance(header, before.epoch());
    }
  }

  /** Marks the store as restored, unless it is marked already or an operator has resumed it. */
  private void handleRestore(Seen before, Header header, Deadline deadline) throws CniException {
    Txn read = Txn.read(new Op.Get(keys().schema()));
    while (true) {
      deadline.check("a restore of etcd was recorded");
      TxnResponse response = client.commit(read, deadline);
      Optional<KeyValue> stored = response.get(0);
      StoreSchema schema =
          stored.isPresent() ? StoreSchema.parse(stored.get()) : StoreSchema.initial(0);
      // An answer from before the mark may be examined after it.
      boolean isCurrent =
          schema.epoch() == before.epoch() && !before.isContradictedBy(response.header());
      if (schema.epoch() > before.epoch() || isCurrent) {
        witness.advance(response.header(), schema.epoch());
        break;
      }
      // Other nodes may know a higher epoch, which the backup does not have.
      StoreSchema marked =
          new StoreSchema(schema.version(), before.epoch(), Optional.empty())
              .restored(
                  new StoreSchema.Restored(
                      node(), Instant.now(), before.revision(), header.revision()));
      Txn mark =
          new Txn()
              .require(keys().schema(), stored.map(KeyValue::modRevision).orElse(0L))
              .then(new Op.Put(keys().schema(), marked.toJson()));
      TxnResponse written = client.commit(mark, deadline);
      if (written.succeeded()) {
        witness.advance(written.header(), marked.epoch());
        LOG.get()
            .log(
                System.Logger.Level.ERROR,
                "etcd was restored from a backup: revision {0} of cluster {1} had been seen before"
                    + " revision {2} of cluster {3}; no address is assigned until \"cni ipam resume\"",
                String.valueOf(before.revision()),
                before.cluster(),
                String.valueOf(header.revision()),
                header.clusterId());
        break;
      }
    }
    witness.save();
  }

  /**
   * Compares the epoch of the store with the one that this host remembers. A higher one is adopted:
   * other nodes have noticed a restore that this one has not. A lower one is a restore itself.
   *
   * @throws CniException as EtcdClient throws
   */
  void adoptEpoch(StoreSchema schema, Header header) throws CniException {
    Seen seen = witness.seen();
    if (schema.epoch() > seen.epoch()) {
      witness.advance(header, schema.epoch());
    } else if (schema.epoch() < seen.epoch()) {
      handleRestore(seen, header, Deadline.after(config.etcd().timeout()));
    }
  }

  /** Remembers the revision that was seen, for later processes. */
  void saveWitness() {
    witness.save();
  }

  @Override
  public void close() {
    client.close();
  }
}
