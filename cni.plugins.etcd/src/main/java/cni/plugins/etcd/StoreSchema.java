// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.plugins.etcd.client.KeyValue;
import java.time.Instant;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The state of the whole store: the key {@code schema}. Every ADD compares it, so that a change of
 * it stops the ADDs of all nodes at once.
 *
 * @param version the version of the schema
 * @param epoch how often the store was restored from a backup, as far as it has been noticed
 * @param restored present after a restore, until an operator ends it by {@code cni ipam resume}: no
 *     address is assigned meanwhile
 */
record StoreSchema(int version, long epoch, Optional<Restored> restored) {
  static final int VERSION = 1;

  /**
   * Returns the state of a store that is used for the first time.
   *
   * @param epoch the epoch that this host remembers, of a store that was deleted; usually 0
   */
  static StoreSchema initial(long epoch) {
    return new StoreSchema(VERSION, epoch, Optional.empty());
  }

  /**
   * How a restore was noticed.
   *
   * @param node the node that has noticed it
   * @param since when it did, by its clock
   * @param seen the revision that it had seen before
   * @param found the revision that it has found
   */
  record Restored(String node, Instant since, long seen, long found) {}

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
          "%s in etcd has version %s of the schema, and this plugin knows version %d only: use the same"
                  .formatted(
                      stored.key(), version < 0 ? "an unknown" : String.valueOf(version), VERSION)
              + " release on all nodes, or another ipam.prefix");
    }
    JsonNode restored = value.json().path("restored");
    return new StoreSchema(
        version,
        value.json().path("epoch").asLong(0),
        restored.isObject() ? Optional.of(parseRestored(value, restored)) : Optional.empty());
  }

  private static Restored parseRestored(StoredValue value, JsonNode json) throws CniException {
    try {
      return new Restored(
          json.path("node").asString(""),
          Instant.parse(json.path("since").asString("")),
          json.path("seen").asLong(0),
          json.path("found").asLong(0));
    } catch (RuntimeException e) {
      throw value.invalid("restored", e);
    }
  }

  String toJson() {
    ObjectNode json = Json.object();
    json.put("version", version).put("epoch", epoch);
    restored.ifPresent(
        it ->
            json.putObject("restored")
                .put("node", it.node())
                .put("since", it.since().toString())
                .put("seen", it.seen())
                .put("found", it.found()));
    return StoredValue.text(json);
  }

  /** Returns the state after a restore has been noticed. */
  StoreSchema restored(Restored how) {
    return new StoreSchema(version, epoch + 1, Optional.of(how));
  }

  /** Returns the state after an operator has ended the one after a restore. */
  StoreSchema resumed() {
    return new StoreSchema(version, epoch, Optional.empty());
  }

  /**
   * Requires that addresses may be assigned.
   *
   * @param network the network's name, for the remedy
   * @throws CniException code 11 after a restore
   */
  void requireNotRestored(String network) throws CniException {
    if (restored.isPresent()) {
      Restored how = restored.get();
      throw new CniException(
          ErrorCode.TRY_AGAIN_LATER,
          "etcd was restored from a backup (node %s had seen revision %d and found %d, at %s):"
                  .formatted(how.node(), how.seen(), how.found(), how.since())
              + " addresses assigned after the backup are not recorded. Hosts with \"cni serve\""
              + " record theirs again; on others run \"cni repair\". Then run"
              + " \"cni ipam resume "
              + network
              + "\"");
    }
  }
}
