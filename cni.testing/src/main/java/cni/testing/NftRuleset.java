// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.api.CniException;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The nf_tables ruleset of a namespace as {@code nft -j} lists it, in a form that can be compared
 * between runs.
 */
public final class NftRuleset {
  private NftRuleset() {}

  /**
   * Lists tables, chains and rules as JSON, a line for each, sorted but for the rules of a chain,
   * which keep their order. Handles and counters are left out; names of random veths and hardware
   * addresses are replaced by {@code veth} and {@code mac}.
   *
   * @throws IOException if {@code nft} cannot be started
   * @throws CniException if it prints no JSON
   */
  public static String list(NetNs host) throws IOException, CniException {
    var text = new StringBuilder();
    lines(host).forEach(line -> text.append(line).append('\n'));
    return text.toString()
        .replaceAll("\"veth[0-9a-f]{8}\"", "\"veth\"")
        .replaceAll("\"([0-9a-f]{2}:){5}[0-9a-f]{2}\"", "\"mac\"");
  }

  /** As {@link #list}, with the names of veths and the hardware addresses. */
  static List<String> lines(NetNs host) throws IOException, CniException {
    String text = TestBed.run(host, "nft", "-j", "list", "ruleset");
    String json = text.substring(text.indexOf("{\"nftables\""), text.lastIndexOf('}') + 1);
    List<ObjectNode> objects = new ArrayList<>();
    for (JsonNode object :
        Json.parse(json.getBytes(StandardCharsets.UTF_8), "nft").get("nftables")) {
      if (!object.has("metainfo")) {
        objects.add((ObjectNode) object);
      }
    }
    objects.forEach(NftRuleset::removeVolatileKeys);
    objects.sort(Comparator.comparing(NftRuleset::sortKey));
    return objects.stream().map(ObjectNode::toString).toList();
  }

  /** Rules sort by their chain, which keeps their order; everything else sorts by name. */
  private static String sortKey(ObjectNode object) {
    JsonNode content = object.properties().iterator().next().getValue();
    String name = content.path("chain").asString(content.path("name").asString(""));
    return content.path("family").asString("")
        + " "
        + content.path("table").asString("")
        + " "
        + (object.has("rule") ? "2" : object.has("chain") ? "1" : "0")
        + name;
  }

  private static void removeVolatileKeys(JsonNode node) {
    if (node instanceof ObjectNode object) {
      object.remove("handle");
      if (object.get("counter") instanceof ObjectNode counter) {
        counter.removeAll();
      }
      object.properties().forEach(entry -> removeVolatileKeys(entry.getValue()));
    } else if (node instanceof ArrayNode array) {
      array.forEach(NftRuleset::removeVolatileKeys);
    }
  }
}
