// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Json;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.api.internal.RegularFiles;
import cni.plugins.etcd.client.TxnResponse.Header;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import tools.jackson.databind.node.ObjectNode;

/**
 * What this host remembers of a network's store: its id, the cluster and the highest revision that
 * it has seen. A store that shows another cluster or a lower revision has been restored from a
 * backup.
 *
 * <p>A lost file weakens the detection only: other nodes, and the next requests of this one, still
 * detect a restore.
 */
final class RevisionWitness {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  private final Path file;
  private Seen seen;

  /**
   * What was seen last.
   *
   * @param prefix the prefix of the store's keys; a store with another one is another store
   * @param store {@link StoreSchema#id}; the empty string if it was not seen yet
   * @param cluster the id of the cluster; the empty string if nothing was seen yet
   * @param revision the highest revision
   * @param epoch the epoch of the store
   */
  record Seen(String prefix, String store, String cluster, long revision, long epoch) {
    /** Whether a later response shows an older state than this one. */
    boolean isContradictedBy(Header header) {
      return !cluster.isEmpty()
          && (!cluster.equals(header.clusterId()) || header.revision() < revision);
    }

    /** Whether this is a later state of the same store. */
    boolean isLaterThan(Seen other) {
      return store.equals(other.store)
          && (epoch > other.epoch
              || (epoch == other.epoch
                  && cluster.equals(other.cluster)
                  && revision > other.revision));
    }

    /** Whether a store is another one than that which was seen. */
    boolean isOther(StoreSchema schema) {
      return !store.isEmpty() && !schema.id().isEmpty() && !store.equals(schema.id());
    }
  }

  private RevisionWitness(Path file, Seen seen) {
    this.file = file;
    this.seen = seen;
  }

  /** Reads the file of a network. */
  static RevisionWitness read(StoreConfig config) {
    Path file = config.directory().resolve(config.network() + ".json");
    return new RevisionWitness(file, readFile(file, config.keys().prefix()));
  }

  private static Seen readFile(Path file, String prefix) {
    Seen nothing = new Seen(prefix, "", "", 0, 0);
    try {
      ObjectNode json = Json.parse(RegularFiles.readState(file), file.toString());
      var seen =
          new Seen(
              json.path("prefix").asString(""),
              json.path("store").asString(""),
              json.path("cluster").asString(""),
              json.path("revision").asLong(0),
              json.path("epoch").asLong(0));
      return seen.prefix().equals(prefix) ? seen : nothing;
    } catch (NoSuchFileException e) {
      return nothing;
    } catch (IOException | CniException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "a restore of etcd before this call cannot be detected: " + e.getMessage());
      return nothing;
    }
  }

  synchronized Seen seen() {
    return seen;
  }

  Path file() {
    return file;
  }

  /** Remembers the state of a response, unless its request was sent in an earlier epoch. */
  synchronized void advance(Header header, long epoch) {
    if (epoch == seen.epoch()) {
      remember(header, seen.store(), epoch);
    }
  }

  /** Remembers the state of a response that has contained the schema. */
  synchronized void adopt(Header header, StoreSchema schema) {
    remember(header, schema.id().isEmpty() ? seen.store() : schema.id(), schema.epoch());
  }

  private void remember(Header header, String store, long epoch) {
    long revision =
        header.clusterId().equals(seen.cluster()) && epoch == seen.epoch()
            ? Math.max(seen.revision(), header.revision())
            : header.revision();
    seen = new Seen(seen.prefix(), store, header.clusterId(), revision, epoch);
  }

  /**
   * Writes the file, unless another process has seen a later state of the store. A failure is
   * logged.
   */
  synchronized void save() {
    if (readFile(file, seen.prefix()).isLaterThan(seen)) {
      return;
    }
    ObjectNode json = Json.object();
    json.put("prefix", seen.prefix())
        .put("store", seen.store())
        .put("cluster", seen.cluster())
        .put("revision", seen.revision())
        .put("epoch", seen.epoch());
    try {
      SharedFiles.write(file, Json.bytes(json));
    } catch (IOException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "a restore of etcd may not be detected: {0} cannot be written: {1}",
              file,
              IoErrors.reason(e));
    }
  }
}
