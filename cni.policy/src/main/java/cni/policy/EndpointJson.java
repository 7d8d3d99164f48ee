// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Json;
import java.util.HashMap;
import java.util.Map;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The file of an attachment in the data directory. */
final class EndpointJson {
  private static final String NETWORK = "network";
  private static final String CONTAINER_ID = "containerId";
  private static final String IFNAME = "ifname";
  private static final String LABELS = "labels";
  private static final String PORTS = "ports";
  private static final String ADDRESSES = "addresses";
  private static final String HOST_INTERFACE = "hostInterface";
  private static final String BRIDGE = "bridge";
  private static final String PROTOCOL = "protocol";
  private static final String PORT = "port";

  private EndpointJson() {}

  /** Returns the content of the file. */
  static ObjectNode write(Endpoint endpoint) {
    ObjectNode json = Json.object();
    json.put(NETWORK, endpoint.id().network());
    json.put(CONTAINER_ID, endpoint.id().containerId());
    json.put(IFNAME, endpoint.id().ifname());
    ObjectNode labels = json.putObject(LABELS);
    endpoint.labels().forEach(labels::put);
    ObjectNode ports = json.putObject(PORTS);
    endpoint
        .ports()
        .forEach(
            (name, port) ->
                ports.putObject(name).put(PROTOCOL, port.protocol().name()).put(PORT, port.port()));
    ArrayNode addresses = json.putArray(ADDRESSES);
    endpoint.addresses().forEach(address -> addresses.add(address.toString()));
    json.put(HOST_INTERFACE, endpoint.hostInterface());
    endpoint.bridge().ifPresent(bridge -> json.put(BRIDGE, bridge));
    return json;
  }

  /**
   * Reads the content of the file.
   *
   * @throws CniException code 7 if a value is missing or invalid
   */
  static Endpoint read(ObjectNode content) throws CniException {
    var json = new ConfigObject(content, "");
    var id =
        new Endpoint.Id(require(json, NETWORK), require(json, CONTAINER_ID), require(json, IFNAME));
    Map<String, String> labels = new HashMap<>();
    ConfigObject labelsJson = requireObject(json, LABELS);
    for (String key : labelsJson.keys()) {
      labels.put(key, labelsJson.text(key).orElseThrow());
    }
    Map<String, Endpoint.NamedPort> ports = new HashMap<>();
    ConfigObject portsJson = requireObject(json, PORTS);
    for (String name : portsJson.keys()) {
      ConfigObject port = requireObject(portsJson, name);
      Protocol protocol =
          port.parsed(PROTOCOL, Protocol::valueOf)
              .orElseThrow(() -> port.invalid(PROTOCOL, "is missing"));
      ports.put(
          name,
          new Endpoint.NamedPort(
              protocol,
              port.integer(PORT, PortMatch.FIRST_PORT, PortMatch.LAST_PORT)
                  .orElseThrow(() -> port.invalid(PORT, "is missing"))));
    }
    return new Endpoint(
        id,
        labels,
        ports,
        json.parsedList(ADDRESSES, Cidr::parse),
        require(json, HOST_INTERFACE),
        json.nonEmpty(BRIDGE));
  }

  private static String require(ConfigObject json, String key) throws CniException {
    return json.text(key).orElseThrow(() -> json.invalid(key, "is missing"));
  }

  private static ConfigObject requireObject(ConfigObject json, String key) throws CniException {
    return json.object(key).orElseThrow(() -> json.invalid(key, "is missing"));
  }
}
