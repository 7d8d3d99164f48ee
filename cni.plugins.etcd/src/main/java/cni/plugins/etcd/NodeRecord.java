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
import java.util.TreeMap;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The registration of a node. Every ADD of the node compares it, so that a node that was released
 * assigns nothing more until it has registered again.
 *
 * @param machine the machine's id (machine-id(5)); the empty string if it has none
 * @param since when the node was registered, by its clock
 * @param hasHost whether the node has a resident host, whose lease shows that it runs; false after
 *     a host was stopped in order
 * @param recorded the {@link StoreSchema#epoch} in which the resident host has last recorded the
 *     node's addresses of a network, by network
 */
record NodeRecord(String machine, Instant since, boolean hasHost, Map<String, Long> recorded) {
  private static final Path MACHINE_ID = Path.of("/etc/machine-id");

  /** Copies the map. */
  NodeRecord {
    recorded = Map.copyOf(recorded);
  }

  /** Returns the registration of this machine, without a resident host. */
  static NodeRecord ofThisMachine() {
    return new NodeRecord(machineId(), Instant.now(), false, Map.of());
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
        value.parsed("since", Instant::parse),
        value.json().path("host").asBoolean(false),
        parseRecorded(value.json().path("recorded")));
  }

  private static Map<String, Long> parseRecorded(JsonNode json) {
    Map<String, Long> recorded = new TreeMap<>();
    json.properties().forEach(it -> recorded.put(it.getKey(), it.getValue().asLong(0)));
    return recorded;
  }

  String toJson() {
    ObjectNode json = Json.object();
    json.put("machine", machine).put("since", since.toString()).put("host", hasHost);
    ObjectNode epochs = json.putObject("recorded");
    new TreeMap<>(recorded).forEach(epochs::put);
    return StoredValue.text(json);
  }

  /** Returns the registration with a resident host that has recorded a network's addresses. */
  NodeRecord withRecorded(String network, long epoch) {
    Map<String, Long> changed = new TreeMap<>(recorded);
    changed.put(network, epoch);
    return new NodeRecord(machine, since, true, changed);
  }

  /** Returns whether the node's addresses of a network were recorded in an epoch or later. */
  boolean hasRecorded(String network, long epoch) {
    return recorded.getOrDefault(network, -1L) >= epoch;
  }

  /** Returns the registration of a node whose resident host has been stopped in order. */
  NodeRecord withoutHost() {
    return new NodeRecord(machine, since, false, recorded);
  }

  /**
   * Requires that the registration is of this machine.
   *
   * @throws CniException code 7 if another machine has the same name
   */
  void requireThisMachine(String node) throws CniException {
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
