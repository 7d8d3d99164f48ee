package cni.cli;

import cni.api.CniException;
import cni.api.Json;
import cni.netlink.ffm.NetNs;
import cni.netlink.lab.Lab;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * What a host is like, as other programs list it, without what differs from one time to another.
 */
final class HostState {
  private HostState() {}

  /** Tables, chains and rules as nft lists them; those of a chain in their order. */
  static String ruleset(NetNs host) throws IOException, CniException {
    String text = Lab.run(host, "nft", "-j", "list", "ruleset");
    String json = text.substring(text.indexOf("{\"nftables\""), text.lastIndexOf('}') + 1);
    List<ObjectNode> objects = new ArrayList<>();
    for (JsonNode object :
        Json.parse(json.getBytes(StandardCharsets.UTF_8), "nft").get("nftables")) {
      if (!object.has("metainfo")) {
        objects.add((ObjectNode) object);
      }
    }
    objects.forEach(HostState::withoutNumbers);
    objects.sort(Comparator.comparing(HostState::place));
    var lines = new StringBuilder();
    objects.forEach(object -> lines.append(object).append('\n'));
    return lines
        .toString()
        .replaceAll("\"veth[0-9a-f]{8}\"", "\"veth\"")
        .replaceAll("\"([0-9a-f]{2}:){5}[0-9a-f]{2}\"", "\"mac\"");
  }

  /** Of a rule its chain, so that sorting keeps the order of rules; of the rest its name. */
  private static String place(ObjectNode object) {
    JsonNode content = object.properties().iterator().next().getValue();
    String name = content.path("chain").asString(content.path("name").asString(""));
    return content.path("family").asString("")
        + " "
        + content.path("table").asString("")
        + " "
        + (object.has("rule") ? "2" : object.has("chain") ? "1" : "0")
        + name;
  }

  private static void withoutNumbers(JsonNode node) {
    if (node instanceof ObjectNode object) {
      object.remove("handle");
      if (object.get("counter") instanceof ObjectNode counter) {
        counter.removeAll();
      }
      object.properties().forEach(entry -> withoutNumbers(entry.getValue()));
    } else if (node instanceof ArrayNode array) {
      array.forEach(HostState::withoutNumbers);
    }
  }
}
