// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Json;
import cni.plugins.etcd.RevisionWitness.Seen;
import cni.plugins.etcd.client.EtcdClient;
import cni.plugins.etcd.client.EtcdClient.Listing;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Txn;
import cni.plugins.etcd.client.TxnResponse;
import cni.plugins.etcd.client.TxnResponse.Header;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The addresses of one network in etcd, as this node uses them. Compares each response with what
 * this host has seen before ({@link RestoreDetection}).
 */
final class EtcdStore implements AutoCloseable {
  private final StoreConfig config;
  private final EtcdClient client;
  private final RestoreDetection detection;

  private EtcdStore(StoreConfig config, EtcdClient client, RestoreDetection detection) {
    this.config = config;
    this.client = client;
    this.detection = detection;
  }

  /**
   * Opens the store, which connects at the first request.
   *
   * @throws CniException code 7 if a file for TLS cannot be read or is invalid
   */
  static EtcdStore open(StoreConfig config) throws CniException {
    EtcdClient client = EtcdClient.create(config.etcd());
    return new EtcdStore(
        config, client, new RestoreDetection(config, client, RevisionWitness.read(config)));
  }

  /** Returns the store as another node uses another network; it shares the client of this one. */
  EtcdStore of(String node, String network) {
    return new EtcdStore(config.of(node, network), client, detection);
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

  /** Returns what this host knows of the store. */
  Seen seen() {
    return detection.seen();
  }

  /**
   * Performs a transaction, as {@link EtcdClient#commit}.
   *
   * @throws CniException as EtcdClient throws
   */
  TxnResponse commit(Txn txn, Deadline deadline) throws CniException {
    Seen before = detection.seen();
    TxnResponse response = client.commit(txn, deadline);
    detection.observe(before, response.header(), deadline);
    return response;
  }

  /**
   * Reads all keys with a prefix, as {@link EtcdClient#list}.
   *
   * @throws CniException as EtcdClient throws
   */
  Listing list(String prefix, Deadline deadline) throws CniException {
    Seen before = detection.seen();
    Listing listing = client.list(prefix, false, deadline);
    detection.observe(before, listing.header(), deadline);
    return listing;
  }

  /** Returns the value of a key that names a node. */
  static String nodeValue(String node) {
    return StoredValue.text(Json.object().put("node", node));
  }

  /**
   * Reads several prefixes at one revision.
   *
   * @param prefixes the prefixes
   * @return the keys of each
   * @throws CniException as EtcdClient throws
   */
  List<List<KeyValue>> listTogether(List<String> prefixes, Deadline deadline) throws CniException {
    while (true) {
      deadline.check("all keys were read");
      Listing first = list(prefixes.getFirst(), deadline);
      List<List<KeyValue>> listings = new ArrayList<>(List.of(first.keys()));
      for (String prefix : prefixes.subList(1, prefixes.size())) {
        client
            .listAt(prefix, first.header().revision(), deadline)
            .ifPresent(it -> listings.add(it.keys()));
      }
      if (listings.size() == prefixes.size()) { // otherwise the revision has been compacted
        return listings;
      }
    }
  }

  /**
   * Parses a block, of any node.
   *
   * @throws CniException code 6 if the key or the value is invalid
   */
  Block parseBlock(KeyValue stored) throws CniException {
    String[] parts = EtcdKeys.split(stored.key(), keys().blocks(network()), 2);
    return Block.parse(BlockId.parse(parts[1], stored.key()), parts[0], stored);
  }

  /**
   * Parses the key of a block, of any node.
   *
   * @throws CniException code 6 if it is invalid
   */
  BlockId blockId(KeyValue stored) throws CniException {
    String[] parts = EtcdKeys.split(stored.key(), keys().blocks(network()), 2);
    return BlockId.parse(parts[1], stored.key());
  }

  /**
   * Reads the attachments of this node.
   *
   * @throws CniException as EtcdClient throws; code 6 if a value is invalid
   */
  List<Handle> readHandles(Deadline deadline) throws CniException {
    List<Handle> handles = new ArrayList<>();
    for (KeyValue it : list(keys().handles(network(), node()), deadline).keys()) {
      handles.add(parseHandle(it));
    }
    return handles;
  }

  /**
   * Parses a handle, of any node.
   *
   * @throws CniException code 6 if the key or the value is invalid
   */
  Handle parseHandle(KeyValue stored) throws CniException {
    String[] parts = EtcdKeys.split(stored.key(), keys().handles(network()), 3);
    return Handle.parse(new AttachmentId(parts[1], parts[2]), parts[0], stored);
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
   * Reads the names of the nodes whose resident host has a lease.
   *
   * @throws CniException as EtcdClient throws
   */
  Set<String> readAliveNodes(Deadline deadline) throws CniException {
    Set<String> nodes = new HashSet<>();
    String prefix = keys().allAlive();
    for (KeyValue it : client.list(prefix, true, deadline).keys()) {
      nodes.add(it.key().substring(prefix.length()).split("/", 2)[0]);
    }
    return nodes;
  }

  /** Returns the name that addresses are kept for. */
  String nameOf(KeptAddresses kept) {
    return kept.key().substring(keys().stickies(network()).length());
  }

  /**
   * Returns who holds an address, for a message.
   *
   * @return absent if no attachment and no name does
   * @throws CniException as EtcdClient throws; code 6 if a value is invalid
   */
  Optional<String> findHolder(InetAddress address, Deadline deadline) throws CniException {
    List<List<KeyValue>> stored =
        listTogether(List.of(keys().handles(network()), keys().stickies(network())), deadline);
    for (KeyValue it : stored.get(0)) {
      Handle handle = parseHandle(it);
      if (handle.addressList().contains(address)) {
        return Optional.of(
            "container %s, interface %s on node %s"
                .formatted(
                    handle.attachment().containerId(),
                    handle.attachment().interfaceName(),
                    handle.node()));
      }
    }
    for (KeyValue it : stored.get(1)) {
      KeptAddresses kept = KeptAddresses.parse(it);
      if (kept.addresses().stream().anyMatch(held -> held.address().equals(address))) {
        return Optional.of("the name " + nameOf(kept) + " (sticky)");
      }
    }
    return Optional.empty();
  }

  /**
   * Compares the schema with what this host remembers, as {@link RestoreDetection#adopt}.
   *
   * @throws CniException code 7 if the store is another one; otherwise as EtcdClient throws
   */
  void adopt(StoreSchema schema, Header header) throws CniException {
    detection.adopt(schema, header);
  }

  /**
   * Marks the store as restored from a backup, as {@link RestoreDetection#markRestored}.
   *
   * @throws CniException as EtcdClient throws
   */
  void markRestored(Header found) throws CniException {
    detection.markRestored(found);
  }

  /** Remembers the revision that was seen, for later processes. */
  void saveWitness() {
    detection.save();
  }

  @Override
  public void close() {
    client.close();
  }
}
