package cni.plugins.meta;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.api.PluginConfig;
import cni.plugins.meta.bandwidth.BandwidthPlugin;
import cni.plugins.meta.firewall.FirewallPlugin;
import cni.plugins.meta.portmap.PortMapPlugin;
import cni.plugins.meta.sbr.SbrPlugin;
import cni.plugins.meta.tuning.TuningPlugin;
import cni.plugins.meta.vrf.VrfPlugin;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * ADD with mutations of valid configurations and without a previous result, for want of which it
 * ends before it touches the kernel: whatever the configuration has, an error with a code is
 * thrown. The property {@code cni.test.campaign.seconds} sets the duration, {@code
 * cni.test.campaign.seed} the first seed.
 */
class ConfigMutationTest {
  private static final Set<Integer> EXPECTED_CODES = Set.of(2, 4, 6, 7);
  private static final int FIRST_PLUGIN_CODE = 100;
  private static final Duration DURATION =
      Duration.ofSeconds(Integer.getInteger("cni.test.campaign.seconds", 3));
  private static final long FIRST_SEED = Long.getLong("cni.test.campaign.seed", 1);

  private static final Map<NetworkPlugin, List<String>> CONFIGS =
      Map.of(
          new PortMapPlugin(),
          List.of(
              """
              { "snat": true, "masqAll": false, "backend": "nftables",
                "conditionsV4": ["ip", "saddr", "!=", "{", "10.0.0.0/8,", "192.0.2.1", "}"],
                "conditionsV6": ["tcp sport 1024-65535 iifname { up0, lo }"],
                "runtimeConfig": { "portMappings": [
                  { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
                  { "hostPort": 8081, "containerPort": 81, "hostIP": "192.0.2.1" } ] } }
              """,
              """
              { "markMasqBit": 4, "conditionsV4": ["!", "-s", "10.0.0.0/8", "-i", "eth+"],
                "conditionsV6": ["-d", "fd00::/8"] }
              """,
              "{ \"backend\": \"iptables\", \"externalSetMarkChain\": \"THEIRS\" }"),
          new FirewallPlugin(),
          List.of(
              """
              { "backend": "iptables", "iptablesAdminChainName": "MINE", "firewalldZone": "z",
                "ingressPolicy": "same-bridge" }
              """),
          new BandwidthPlugin(),
          List.of(
              """
              { "ingressRate": 8000, "ingressBurst": 8000, "egressRate": 9000, "egressBurst": 9000,
                "shapedSubnets": ["10.0.0.0/8", "fd00::/8"] }
              """,
              """
              { "unshapedSubnets": ["10.0.0.0/8"],
                "runtimeConfig": { "bandwidth": { "ingressRate": 8000, "ingressBurst": 8000 } } }
              """),
          new TuningPlugin(),
          List.of(
              """
              { "dataDir": "/run/cni/tuning", "mac": "02:00:00:00:00:01", "mtu": 1400,
                "promisc": true, "allmulti": false, "txQLen": 100,
                "sysctl": { "net.core.somaxconn": "1", "net.ipv4.conf.IFNAME.arp_filter": "1" },
                "args": { "cni": { "mac": "02:00:00:00:00:02", "sysctl": { "net.x": "2" } } } }
              """),
          new SbrPlugin(),
          List.of("{ \"table\": 100, \"gateways\": [\"10.0.0.1\"], \"addSourceHints\": true }"),
          new VrfPlugin(),
          List.of("{ \"vrfname\": \"blue\", \"table\": 10 }"));

  @Test
  void everyMutationIsAnsweredByAnErrorWithACode() throws Exception {
    long end = System.nanoTime() + DURATION.toNanos();
    for (long seed = FIRST_SEED; System.nanoTime() < end; seed++) {
      for (Map.Entry<NetworkPlugin, List<String>> entry : CONFIGS.entrySet()) {
        for (String config : entry.getValue()) {
          call(entry.getKey(), config, seed);
        }
      }
    }
  }

  private static void call(NetworkPlugin plugin, String config, long seed) throws Exception {
    var random = new Random(seed);
    ObjectNode json = Json.parse(config.getBytes(StandardCharsets.UTF_8), "test");
    json.put("cniVersion", "1.1.0").put("name", "n").put("type", plugin.type());
    int mutations = 1 + random.nextInt(4);
    for (int i = 0; i < mutations; i++) {
      mutate(json, random);
    }
    String what = plugin.type() + ", seed " + seed + ": " + json;
    CniException e = assertThrows(CniException.class, () -> plugin.add(request(json)), what);
    assertTrue(
        EXPECTED_CODES.contains(e.code()) || (e.code() >= FIRST_PLUGIN_CODE && e.code() != 999),
        () -> what + ": code " + e.code() + ": " + e.getMessage());
  }

  private static AttachmentRequest request(ObjectNode json) throws CniException {
    var context =
        new CallContext(
            Optional.empty(),
            Deadline.after(Duration.ofMinutes(1)),
            type -> {
              throw new IllegalStateException(type); // chained plugins delegate to none
            });
    return new AttachmentRequest(
        PluginConfig.of(new ConfigObject(json, "")),
        Attachment.of("c", Path.of("/run/netns/c"), "eth0"),
        Optional.empty(),
        context);
  }

  /** Replaces, removes or repeats one value at a random place. */
  private static void mutate(JsonNode node, Random random) {
    if (node instanceof ObjectNode object && !object.isEmpty()) {
      List<String> keys = object.properties().stream().map(Map.Entry::getKey).toList();
      String key = keys.get(random.nextInt(keys.size()));
      JsonNode child = object.path(key);
      if (child.isContainer() && !child.isEmpty() && random.nextInt(4) > 0) {
        mutate(child, random);
      } else if (random.nextInt(8) == 0) {
        object.remove(key);
      } else {
        object.set(key, replacement(child, random));
      }
    } else if (node instanceof ArrayNode array && !array.isEmpty()) {
      int index = random.nextInt(array.size());
      JsonNode child = array.get(index);
      if (child.isContainer() && !child.isEmpty() && random.nextInt(4) > 0) {
        mutate(child, random);
      } else if (random.nextInt(8) == 0) {
        array.add(child.deepCopy());
      } else {
        array.set(index, replacement(child, random));
      }
    }
  }

  private static JsonNode replacement(JsonNode old, Random random) {
    ArrayNode one = Json.object().putArray("of");
    switch (random.nextInt(14)) {
      case 0 -> one.addNull();
      case 1 -> one.add(random.nextBoolean());
      case 2 -> one.add(random.nextInt());
      case 3 -> one.add(random.nextLong());
      case 4 -> one.add(random.nextDouble() * 1e300);
      case 5 -> one.add(-1);
      case 6 -> one.add("");
      case 7 -> one.add("x".repeat(random.nextInt(70_000)));
      case 8 -> one.addArray();
      case 9 -> one.addObject();
      case 10 -> one.addArray().add(old.deepCopy()).addNull();
      case 11 -> one.addObject().set("x", old.deepCopy());
      default -> one.add(mutate(old.asString(""), random));
    }
    return one.get(0);
  }

  /** Changes, inserts or removes a character. */
  private static String mutate(String text, Random random) {
    String alphabet = "\0\n \t!-+{}[]()<>=,./:%$*?\\\"'#@0129afzAZ\ud800\u00e9\u2028\ud83d";
    int at = random.nextInt(text.length() + 1);
    String inserted = String.valueOf(alphabet.charAt(random.nextInt(alphabet.length())));
    int removed = at < text.length() ? random.nextInt(2) : 0;
    return text.substring(0, at)
        + (random.nextInt(4) == 0 ? "" : inserted)
        + text.substring(at + removed);
  }
}
