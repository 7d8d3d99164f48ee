// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.AddressReport;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.runtime.NetworkAddresses;
import java.math.BigInteger;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The addresses of a network as {@code cni ipam show --json} prints them. Absent keys are unknown.
 */
final class AddressJson {
  private AddressJson() {}

  /** Returns the object of an ipam plugin of a network. */
  static ObjectNode of(String network, NetworkAddresses.PluginReport plugin) {
    AddressReport report = plugin.report();
    ObjectNode object = Json.object().put("network", network).put("plugin", plugin.type());
    ArrayNode pools = object.putArray("pools");
    for (AddressReport.Pool it : report.pools()) {
      pools
          .addObject()
          .put("ranges", it.ranges())
          .put("size", it.size())
          .put("used", it.used())
          .put("free", AddressTables.free(it.size(), it.used()));
    }
    ArrayNode blocks = object.putArray("blocks");
    for (AddressReport.Block it : report.blocks()) {
      blocks
          .addObject()
          .put("block", it.network().toString())
          .put("node", it.node())
          .put("size", it.size())
          .put("used", it.used())
          .put("free", free(it));
    }
    ArrayNode nodes = object.putArray("nodes");
    for (AddressReport.Node it : report.nodes()) {
      nodes.addObject().put("name", it.name()).put("state", AddressTables.text(it.liveness()));
    }
    ArrayNode holders = object.putArray("holders");
    report.holders().forEach(it -> holders.add(of(it)));
    ArrayNode problems = object.putArray("problems");
    report.problems().forEach(problems::add);
    return object;
  }

  private static BigInteger free(AddressReport.Block block) {
    return AddressTables.free(BigInteger.valueOf(block.size()), BigInteger.valueOf(block.used()));
  }

  private static ObjectNode of(AddressReport.Holder holder) {
    ObjectNode object = Json.object();
    holder
        .attachment()
        .ifPresent(
            id -> object.put("containerId", id.containerId()).put("ifName", id.interfaceName()));
    holder.name().ifPresent(it -> object.put("name", it));
    holder.node().ifPresent(it -> object.put("node", it));
    ArrayNode addresses = object.putArray("addresses");
    holder.addresses().forEach(it -> addresses.add(InetAddresses.format(it)));
    holder.since().ifPresent(it -> object.put("since", it.toString()));
    return object;
  }
}
