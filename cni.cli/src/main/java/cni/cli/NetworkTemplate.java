// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Cidr;
import cni.api.Json;
import cni.api.SpecVersion;
import java.util.List;
import java.util.OptionalInt;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A network of containers on this host that {@code cni init} writes: a bridge whose addresses are
 * translated to those of the host, and chained plugins.
 *
 * @param name the network's name
 * @param bridge the name of the bridge
 * @param subnets the subnets of the containers, one of each IP version at least
 * @param mtu in bytes; absent for the kernel's default
 * @param chained the types of the plugins behind bridge, of {@link #CHAINED}
 */
record NetworkTemplate(
    String name, String bridge, List<Cidr> subnets, OptionalInt mtu, List<String> chained) {
  /** The plugins that can follow bridge, in the order of the chain. */
  static final List<String> CHAINED =
      List.of("portmap", "firewall", "bandwidth", "tuning", "policy");

  /** The chained plugins of a network unless others are chosen. */
  static final List<String> DEFAULT_CHAINED = List.of("portmap", "firewall", "bandwidth", "tuning");

  /** The version for runtimes that do not read {@code cniVersions}, such as containerd 1.x. */
  private static final SpecVersion COMMON_VERSION = SpecVersion.V1_0_0;

  /** Returns the network configuration. */
  ObjectNode json() {
    ObjectNode network = Json.object();
    network.put("cniVersion", COMMON_VERSION.toString());
    network
        .putArray("cniVersions")
        .add(COMMON_VERSION.toString())
        .add(SpecVersion.CURRENT.toString());
    network.put("name", name);
    ArrayNode plugins = network.putArray("plugins");
    plugins.add(bridgeJson());
    CHAINED.stream().filter(chained::contains).forEach(it -> plugins.add(chainedJson(it)));
    return network;
  }

  private ObjectNode bridgeJson() {
    ObjectNode plugin = Json.object();
    plugin.put("type", "bridge").put("bridge", bridge);
    plugin.put("isDefaultGateway", true).put("ipMasq", true).put("hairpinMode", true);
    mtu.ifPresent(it -> plugin.put("mtu", it));
    ObjectNode ipam = plugin.putObject("ipam").put("type", "host-local");
    ArrayNode ranges = ipam.putArray("ranges");
    subnets.forEach(it -> ranges.addArray().addObject().put("subnet", it.toString()));
    return plugin;
  }

  private static ObjectNode chainedJson(String type) {
    ObjectNode plugin = Json.object().put("type", type);
    switch (type) {
      case "portmap" -> plugin.put("snat", true).set("capabilities", capability("portMappings"));
      case "bandwidth" -> plugin.set("capabilities", capability("bandwidth"));
      case "tuning" -> plugin.set("capabilities", capability("mac"));
      default -> {} // needs no options
    }
    return plugin;
  }

  private static ObjectNode capability(String name) {
    return Json.object().put(name, true);
  }
}
