// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.plugins.etcd.client.KeyValue;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The registration of a node. Every ADD of the node compares it, so that a node that was released
 * assigns nothing more until it has registered again.
 *
 * @param machine the machine's id (machine-id(5)); the empty string if it has none
 * @param since when the node was registered, by its clock
 * @param state what is known of the node
 * @param recorded the {@link StoreSchema#epoch} in which the resident host has last recorded the
 *     node's addresses of a network, by network
 */
record NodeRecord(String machine, Instant since, State state, Map<String, Long> recorded) {
  private static final Path MACHINE_ID = Path.of("/etc/machine-id");

  /** What is known of a node. */
  enum State {
    /** It has no resident host, or that was stopped in order. */
    WITHOUT_HOST,
    /** It has a resident host, whose lease shows that it runs. */
    WITH_HOST,
    /**
     * Its addresses are being released. It assigns none before it has registered again; until then
     * the release goes on, also after an interruption.
     */
    RELEASED
  }

  /** Copies the map. */
  NodeRecord {
    recorded = Map.copyOf(recorded);
  }

  /** Returns the registration of this machine, without a resident host. */
  static NodeRecord ofThisMachine() {
    return new NodeRecord(machineId(), Instant.now(), State.WITHOUT_HOST, Map.of());
  }

  /**
   * Parses a key's value.
   *
   * @throws CniException code 6 if it is invalid
   */
  static NodeRecord parse(KeyValue stored) throws CniException {
    StoredValue value = StoredValue.parse(stored);
    return new NodeRecord(
        value.text("machine"),
        value.time("since"),
        parseState(value.json()),
        parseRecorded(value.json().path("recorded")));
  }

  private static State parseState(JsonNode json) {
    if (json.path("released").asBoolean(false)) {
      return State.RELEASED;
    }
    return json.path("host").asBoolean(false) ? State.WITH_HOST : State.WITHOUT_HOST;
  }

  /**
   * Returns the registration of a node that has one and is not being released.
   *
   * @throws CniException code 6 if the value is invalid
   */
  static Optional<NodeRecord> registered(Optional<KeyValue> stored) throws CniException {
    return stored.isEmpty()
        ? Optional.empty()
        : Optional.of(parse(stored.get())).filter(it -> !it.isReleased());
  }

  private static Map<String, Long> parseRecorded(JsonNode json) {
    Map<String, Long> recorded = new TreeMap<>();
    json.properties().forEach(it -> recorded.put(it.getKey(), it.getValue().asLong(0)));
    return recorded;
  }

  String toJson() {
    ObjectNode json = Json.object();
    json.put("machine", machine).put("since", since.toString()).put("host", hasHost());
    if (isReleased()) {
      json.put("released", true);
    }
    ObjectNode epochs = json.putObject("recorded");
    new TreeMap<>(recorded).forEach(epochs::put);
    return StoredValue.text(json);
  }

  /** Returns the registration with a resident host that has recorded a network's addresses. */
  NodeRecord withRecorded(String network, long epoch) {
    Map<String, Long> changed = new TreeMap<>(recorded);
    changed.put(network, epoch);
    return new NodeRecord(machine, since, State.WITH_HOST, changed);
  }

  /** Returns whether the node's addresses of a network were recorded in an epoch or later. */
  boolean hasRecorded(String network, long epoch) {
    return recorded.getOrDefault(network, -1L) >= epoch;
  }

  /** Returns the registration with another state. */
  NodeRecord with(State changed) {
    return new NodeRecord(machine, since, changed, recorded);
  }

  boolean hasHost() {
    return state == State.WITH_HOST;
  }

  boolean isReleased() {
    return state == State.RELEASED;
  }

  /**
   * Requires that a node's registration, if it has one, is of this machine.
   *
   * @param stored the registration
   * @throws CniException code 7 if another machine has the same name; code 6 if it is invalid
   */
  static void requireThisMachine(Optional<KeyValue> stored, String node) throws CniException {
    Optional<NodeRecord> registered = registered(stored);
    if (registered.isPresent()) {
      registered.get().requireThisMachine(node);
    }
  }

  private void requireThisMachine(String node) throws CniException {
    String own = machineId();
    if (!machine.isEmpty() && !own.isEmpty() && !machine.equals(own)) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "another machine (machine-id %s, registered at %s) uses the node name %s: give each node a"
                  .formatted(machine, since, node)
              + " name of its own, by its host name or ipam.node. If this machine has replaced that"
              + " one, run \"cni ipam release-node "
              + node
              + "\"");
    }
  }

  private static String machineId() {
    try {
      return Files.readString(MACHINE_ID).strip();
    } catch (IOException e) {
      return "";
    }
  }
}
