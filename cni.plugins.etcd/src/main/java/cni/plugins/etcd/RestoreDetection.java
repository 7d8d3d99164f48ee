// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.internal.LazyLogger;
import cni.plugins.etcd.RevisionWitness.Seen;
import cni.plugins.etcd.client.EtcdClient;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import cni.plugins.etcd.client.TxnResponse;
import cni.plugins.etcd.client.TxnResponse.Header;
import java.time.Instant;
import java.util.Optional;

/**
 * Detects that etcd was restored from a backup: a response shows an older state than this host has
 * seen before ({@link RevisionWitness}). Marks the store as restored, which stops the ADDs of all
 * nodes.
 */
final class RestoreDetection {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  private final StoreConfig config;
  private final EtcdClient client;
  private final RevisionWitness witness;

  RestoreDetection(StoreConfig config, EtcdClient client, RevisionWitness witness) {
    this.config = config;
    this.client = client;
    this.witness = witness;
  }

  /** Returns what this host has seen, to be compared with the response to a request. */
  Seen seen() {
    return witness.seen();
  }

  /**
   * Compares a response with what had been seen before its request, and remembers it.
   *
   * @throws CniException as EtcdClient throws
   */
  void observe(Seen before, Header header, Deadline deadline) throws CniException {
    if (before.isContradictedBy(header)) {
      mark(before, header, deadline, false);
    } else {
      witness.advance(header, before.epoch());
    }
  }

  /**
   * Compares the schema with what this host remembers. A higher epoch is adopted: other nodes have
   * noticed a restore that this one has not. A lower one is a restore itself.
   *
   * @throws CniException code 7 if the store is another one; otherwise as EtcdClient throws
   */
  void adopt(StoreSchema schema, Header header) throws CniException {
    Seen seen = witness.seen();
    requireSameStore(seen, schema, header);
    if (seen.isOther(schema) || schema.epoch() < seen.epoch()) {
      mark(seen, header, Deadline.after(config.etcd().timeout()), false);
    } else if (schema.epoch() > seen.epoch() || seen.store().isEmpty()) {
      witness.adopt(header, schema);
    }
  }

  /**
   * Requires that the configuration does not lead to the store of other nodes, which a mark would
   * stop. A store that was deleted and made anew in the same cluster counts as restored.
   */
  private void requireSameStore(Seen seen, StoreSchema schema, Header header) throws CniException {
    if (seen.isOther(schema) && !seen.cluster().equals(header.clusterId())) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "%s contains another store under %s (%s) than this host has used (%s): correct ipam.endpoints"
                  .formatted(
                      config.etcd().describeEndpoints(),
                      config.keys().prefix(),
                      schema.id(),
                      seen.store())
              + " or ipam.prefix. If the former store is lost, stop \"cni serve\", delete %s, and run \"cni repair\" before containers are added"
                  .formatted(witness.file()));
    }
  }

  /**
   * Marks the store as restored, because a key has an older state than this host has seen.
   *
   * @param found the state of the store
   * @throws CniException as EtcdClient throws
   */
  void markRestored(Header found) throws CniException {
    mark(witness.seen(), found, Deadline.after(config.etcd().timeout()), true);
  }

  /** Remembers the revision that was seen, for later processes. */
  void save() {
    witness.save();
  }

  /**
   * Marks the store as restored, unless it is marked already or an operator has resumed it.
   *
   * @param isCertain whether the store was restored although its id, epoch and revision are as
   *     before
   */
  private void mark(Seen before, Header header, Deadline deadline, boolean isCertain)
      throws CniException {
    String key = config.keys().schema();
    Txn read = Txn.read(new Op.Get(key));
    while (true) {
      deadline.check("a restore of etcd was recorded");
      TxnResponse response = client.commit(read, deadline);
      Optional<KeyValue> stored = response.get(0);
      StoreSchema schema =
          stored.isPresent() ? StoreSchema.parse(stored.get()) : StoreSchema.initial(before);
      requireSameStore(before, schema, response.header());
      // An answer from before the mark may be examined after it.
      boolean isCurrent =
          !isCertain
              && stored.isPresent()
              && schema.epoch() == before.epoch()
              && !before.isOther(schema)
              && !before.isContradictedBy(response.header());
      if (schema.epoch() > before.epoch() || isCurrent) {
        witness.adopt(response.header(), schema);
        break;
      }
      StoreSchema marked = schema.restored(describe(before, header), before.epoch());
      Txn mark =
          new Txn()
              .require(key, stored.map(KeyValue::modRevision).orElse(0L))
              .then(new Op.Put(key, marked.toJson()));
      TxnResponse written = client.commit(mark, deadline);
      if (written.succeeded()) {
        witness.adopt(written.header(), marked);
        report(marked);
        break;
      }
    }
    witness.save();
  }

  private StoreSchema.Restored describe(Seen before, Header found) {
    Optional<StoreSchema.Clusters> clusters =
        before.cluster().equals(found.clusterId())
            ? Optional.empty()
            : Optional.of(new StoreSchema.Clusters(before.cluster(), found.clusterId()));
    return new StoreSchema.Restored(
        config.node(), Instant.now(), before.revision(), found.revision(), clusters);
  }

  private static void report(StoreSchema marked) {
    LOG.get()
        .log(
            System.Logger.Level.ERROR,
            "{0}; no address is assigned until \"cni ipam resume\"",
            marked.restored().orElseThrow().describe());
  }
}
