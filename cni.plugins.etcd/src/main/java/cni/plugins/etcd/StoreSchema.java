// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.plugins.etcd.client.KeyValue;
import java.time.Instant;
import java.util.Optional;
import java.util.UUID;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The state of the whole store: the key {@code schema}. Every ADD compares it, so that a change of
 * it stops the ADDs of all nodes at once.
 *
 * @param version the version of the schema
 * @param id identifies the store, also after a restore from a backup; the empty string if it is not
 *     known
 * @param epoch how often the store was restored from a backup, as far as it has been noticed
 * @param restored present after a restore, until an operator ends it by {@code cni ipam resume}: no
 *     address is assigned meanwhile
 */
record StoreSchema(int version, String id, long epoch, Optional<Restored> restored) {
  static final int VERSION = 1;

  /**
   * Returns the state of a store that has none: it is used for the first time, or was deleted.
   *
   * @param seen what this host remembers of it
   */
  static StoreSchema initial(RevisionWitness.Seen seen) {
    String id = seen.store().isEmpty() ? UUID.randomUUID().toString() : seen.store();
    return new StoreSchema(VERSION, id, seen.epoch(), Optional.empty());
  }

  /**
   * How a restore was noticed.
   *
   * @param node the node that has noticed it
   * @param since when it did, by its clock
   * @param seen the revision that it had seen before
   * @param found the revision that it has found
   * @param clusters the ids of the clusters; absent if they are the same
   */
  record Restored(String node, Instant since, long seen, long found, Optional<Clusters> clusters) {
    /** Returns the state as the beginning of a sentence. */
    String describe() {
      if (clusters.isEmpty() && found >= seen) { // others have written since
        return "etcd was restored from a backup (node %s had seen later states of keys, at %s)"
            .formatted(node, since);
      }
      if (clusters.isPresent()) {
        return "etcd is another cluster than before, or was restored from a backup (node %s had seen cluster %s at revision %d and found cluster %s at revision %d, at %s)"
            .formatted(
                node, hex(clusters.get().seen()), seen, hex(clusters.get().found()), found, since);
      }
      return "etcd was restored from a backup (node %s had seen revision %d and found %d, at %s)"
          .formatted(node, seen, found, since);
    }

    /** Returns an id as etcdctl and etcd's log print it. */
    private static String hex(String unsigned) {
      try {
        return Long.toHexString(Long.parseUnsignedLong(unsigned));
      } catch (NumberFormatException e) {
        return Json.quote(unsigned);
      }
    }
  }

  /**
   * The ids of two clusters, unsigned decimal numbers.
   *
   * @param seen the one that had been seen before
   * @param found the one that was found
   */
  record Clusters(String seen, String found) {}

  /**
   * Parses the key's value.
   *
   * @throws CniException code 2 if the version is another one, code 6 if the value is invalid
   */
  static StoreSchema parse(KeyValue stored) throws CniException {
    StoredValue value = StoredValue.parse(stored);
    int version = value.json().path("version").asInt(-1);
    if (version != VERSION) {
      throw new CniException(
          ErrorCode.UNSUPPORTED_FIELD,
          "%s in etcd has %s of the schema, and this plugin knows version %d only: use the same"
                  .formatted(
                      stored.key(), version < 0 ? "no version" : "version " + version, VERSION)
              + " release on all nodes, or another ipam.prefix");
    }
    JsonNode restored = value.json().path("restored");
    return new StoreSchema(
        version,
        value.text("id"),
        value.json().path("epoch").asLong(0),
        restored.isObject() ? Optional.of(parseRestored(value, restored)) : Optional.empty());
  }

  private static Restored parseRestored(StoredValue value, JsonNode json) throws CniException {
    try {
      return new Restored(
          json.path("node").asString(""),
          Instant.parse(json.path("since").asString("")),
          json.path("seen").asLong(0),
          json.path("found").asLong(0),
          parseClusters(json));
    } catch (RuntimeException e) {
      throw value.invalid("restored", e);
    }
  }

  private static Optional<Clusters> parseClusters(JsonNode json) {
    String seen = json.path("seenCluster").asString("");
    String found = json.path("foundCluster").asString("");
    return seen.isEmpty() || found.isEmpty()
        ? Optional.empty()
        : Optional.of(new Clusters(seen, found));
  }

  String toJson() {
    ObjectNode json = Json.object();
    json.put("version", version).put("id", id).put("epoch", epoch);
    restored.ifPresent(it -> write(it, json.putObject("restored")));
    return StoredValue.text(json);
  }

  private static void write(Restored how, ObjectNode json) {
    json.put("node", how.node())
        .put("since", how.since().toString())
        .put("seen", how.seen())
        .put("found", how.found());
    how.clusters()
        .ifPresent(it -> json.put("seenCluster", it.seen()).put("foundCluster", it.found()));
  }

  /**
   * Returns the state after a restore has been noticed.
   *
   * @param known the highest epoch that is known, which a backup may not have
   */
  StoreSchema restored(Restored how, long known) {
    return new StoreSchema(version, id, Math.max(epoch, known) + 1, Optional.of(how));
  }

  boolean isRestored() {
    return restored.isPresent();
  }

  /** Returns the state after an operator has ended the one after a restore. */
  StoreSchema resumed() {
    return new StoreSchema(version, id, epoch, Optional.empty());
  }

  /**
   * Requires that addresses may be assigned.
   *
   * @param network the network's name, for the remedy
   * @throws CniException code 11 after a restore
   */
  void requireNotRestored(String network) throws CniException {
    if (restored.isPresent()) {
      throw new CniException(
          ErrorCode.TRY_AGAIN_LATER,
          restored.get().describe()
              + ": addresses that are not recorded there may be in use. If ipam.endpoints are wrong,"
              + " correct them. Otherwise hosts with \"cni serve\" record theirs again; on others"
              + " run \"cni repair\". Then run \"cni ipam resume "
              + network
              + "\"");
    }
  }
}
