// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Json;
import cni.api.internal.AtomicFiles;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.api.internal.RegularFiles;
import cni.plugins.etcd.client.TxnResponse.Header;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import tools.jackson.databind.node.ObjectNode;

/**
 * What this host remembers of a network's store: the cluster and the highest revision that it has
 * seen. A store that shows another cluster or a lower revision has been restored from a backup.
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
   * @param cluster the id of the cluster; the empty string if nothing was seen yet
   * @param revision the highest revision
   * @param epoch the epoch of the store
   */
  record Seen(String prefix, String cluster, long revision, long epoch) {
    /** Whether a later response shows an older state than this one. */
    boolean isContradictedBy(Header header) {
      return !cluster.isEmpty()
          && (!cluster.equals(header.clusterId()) || header.revision() < revision);
    }
  }

  private RevisionWitness(Path file, Seen seen) {
    this.file = file;
    this.seen = seen;
  }

  /** Reads the file of a network. */
  static RevisionWitness read(StoreConfig config) {
    Path file = config.directory().resolve(config.network() + ".json");
    Seen nothing = new Seen(config.keys().prefix(), "", 0, 0);
    try {
      ObjectNode json = Json.parse(RegularFiles.readState(file), file.toString());
      var seen =
          new Seen(
              json.path("prefix").asString(""),
              json.path("cluster").asString(""),
              json.path("revision").asLong(0),
              json.path("epoch").asLong(0));
      return new RevisionWitness(file, seen.prefix().equals(nothing.prefix()) ? seen : nothing);
    } catch (NoSuchFileException e) {
      return new RevisionWitness(file, nothing);
    } catch (IOException | CniException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "a restore of etcd before this call cannot be detected: " + e.getMessage());
      return new RevisionWitness(file, nothing);
    }
  }

  synchronized Seen seen() {
    return seen;
  }

  /** Remembers the state of a response. */
  synchronized void advance(Header header, long epoch) {
    long revision =
        header.clusterId().equals(seen.cluster()) && epoch == seen.epoch()
            ? Math.max(seen.revision(), header.revision())
            : header.revision();
    seen = new Seen(seen.prefix(), header.clusterId(), revision, epoch);
  }

  /** Writes the file, unless that fails, which is logged. */
  synchronized void save() {
    ObjectNode json = Json.object();
    json.put("prefix", seen.prefix())
        .put("cluster", seen.cluster())
        .put("revision", seen.revision())
        .put("epoch", seen.epoch());
    Path directory = file.toAbsolutePath().getParent();
    try {
      if (directory != null) {
        AtomicFiles.createDirectories(directory);
      }
      Path temporary =
          file.resolveSibling(
              ".%s.%d.%d"
                  .formatted(
                      file.getFileName(),
                      ProcessHandle.current().pid(),
                      Thread.currentThread().threadId()));
      AtomicFiles.write(file, temporary, Json.bytes(json));
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
