package cni.embedded;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Json;
import cni.api.NetworkConfig;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.exec.ServedPlugin;
import cni.runtime.Cni;
import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Mutates JSON some 10,000 times with a fixed seed: invalid configurations, results, cache files
 * and requests cause the specification's errors and nothing else.
 */
class JsonFuzzTest {
  private static final long SEED = 20251124;
  private static final int ROUNDS = 2500;

  private static final String CONFIG =
      """
      { "cniVersion": "1.1.0", "cniVersions": ["0.4.0", "1.0.0"], "name": "n", "disableGC": "false",
        "plugins": [ { "type": "bridge", "bridge": "br0", "isGateway": true, "mtu": 1400, "vlan": 0,
          "vlanTrunk": [{ "minID": 1, "maxID": 20 }, { "id": 40 }],
          "capabilities": { "mac": true, "ips": true },
          "args": { "cni": { "ips": ["10.1.0.7"] } }, "dns": { "nameservers": ["10.1.0.1"] },
          "ipam": { "type": "host-local", "dataDir": "/no/such/directory", "ranges": [[
            { "subnet": "10.1.0.0/16", "rangeStart": "10.1.0.5", "rangeEnd": "10.1.0.99",
              "gateway": "10.1.0.1" }], [{ "subnet": "fd00::/64" }]],
            "routes": [{ "dst": "0.0.0.0/0", "mtu": 1300, "table": 100, "scope": 0 }] } } ] }
      """;

  private static final String RESULT =
      """
      { "cniVersion": "%s",
        "interfaces": [{ "name": "eth0", "mac": "02:00:00:00:00:01", "mtu": 1500, "sandbox": "/x" }],
        "ips": [{ "version": "4", "interface": 0, "address": "10.1.0.5/16", "gateway": "10.1.0.1" }],
        "ip4": { "ip": "10.1.0.5/16", "routes": [{ "dst": "0.0.0.0/0" }] },
        "routes": [{ "dst": "::/0", "gw": "fd00::1", "advmss": 1200, "priority": 5 }],
        "dns": { "domain": "d", "search": ["s"], "options": ["o"] } }
      """;

  /** Values that replace a part of the text. */
  private static final List<String> REPLACEMENTS =
      List.of(
          "null",
          "true",
          "-1",
          "0",
          "1e999",
          "99999999999999999999",
          "0.5",
          "\"\"",
          "[]",
          "{}",
          "[[]]",
          "\"\\u0000\"",
          "\"\\ud800\"",
          "\"../../x\"",
          "\"a/b\"",
          "\"10.1.0.0/33\"",
          "\"::/129\"",
          "\"fd00::/127\"",
          "\"1.1.0\"",
          "\"9.9.9\"",
          "\"x\"",
          "{\"type\":\"x\"}",
          "\"\u00e9\"",
          "\"" + "y".repeat(300) + "\"",
          "[".repeat(2000),
          "\"10.1.0.1\"",
          "4294967296");

  private final Random random = new Random(SEED);

  /** Makes one to three changes, of characters or of whole values. */
  private byte[] mutate(String text) {
    String mutated = text;
    int changes = 1 + random.nextInt(3);
    for (int i = 0; i < changes; i++) {
      mutated = random.nextInt(3) == 0 ? changeCharacters(mutated) : changeValue(mutated);
    }
    return mutated.getBytes(StandardCharsets.UTF_8);
  }

  private String changeCharacters(String text) {
    int at = random.nextInt(text.length());
    int end = Math.min(text.length(), at + random.nextInt(4));
    String with = random.nextBoolean() ? "" : String.valueOf((char) random.nextInt(0x180));
    return text.substring(0, at) + with + text.substring(end);
  }

  private String changeValue(String text) {
    List<Integer> colons =
        java.util.stream.IntStream.range(0, text.length())
            .filter(i -> text.charAt(i) == ':' || text.charAt(i) == '[')
            .boxed()
            .toList();
    if (colons.isEmpty()) {
      return text;
    }
    int from = colons.get(random.nextInt(colons.size())) + 1;
    int to = from;
    while (to < text.length() && ",}]".indexOf(text.charAt(to)) < 0) {
      to++;
    }
    return text.substring(0, from)
        + REPLACEMENTS.get(random.nextInt(REPLACEMENTS.size()))
        + text.substring(to);
  }

  /** The code under test, which may fail only with a {@link CniException}. */
  private interface Operation {
    void run(byte[] input) throws CniException, IOException;
  }

  private void assertFailuresAreCniExceptions(String text, Operation operation) throws IOException {
    int refused = 0;
    for (int i = 0; i < ROUNDS; i++) {
      byte[] input = mutate(text);
      try {
        operation.run(input);
      } catch (CniException e) {
        assertTrue(e.code() > 0 && !e.getMessage().isEmpty(), e::getMessage);
        assertTrue(!e.getMessage().contains("unexpected"), e::getMessage);
        refused++;
      } catch (RuntimeException | Error e) {
        throw new AssertionError(new String(input, StandardCharsets.UTF_8), e);
      }
    }
    assertTrue(refused > ROUNDS / 10 && refused < ROUNDS, "refused " + refused);
  }

  @Test
  void mutatedConfigurationsGiveCniErrors(@TempDir Path cache) throws Exception {
    Cni cni = Cni.builder().executables().cache(cache).build();
    assertFailuresAreCniExceptions(
        CONFIG, input -> cni.network(NetworkConfig.parse(input, "x")).status());
  }

  @Test
  void mutatedResultsGiveCniErrors() throws Exception {
    for (SpecVersion version :
        List.of(SpecVersion.V0_2_0, SpecVersion.V0_4_0, SpecVersion.V1_1_0)) {
      assertFailuresAreCniExceptions(
          RESULT.formatted(version),
          input -> {
            var result = ResultJson.read(Json.parse(input, "x"), SpecVersion.CURRENT);
            for (SpecVersion other : SpecVersion.ALL) {
              ResultJson.write(result, other);
            }
          });
    }
  }

  @Test
  void mutatedCacheEntriesGiveCniErrors() throws Exception {
    String entry =
        "{ \"kind\": \"cniCacheV1\", \"containerId\": \"c\", \"ifName\": \"eth0\", \"networkName\": \"n\","
            + " \"config\": \"e30=\", \"netns\": \"/x\", \"cniArgs\": [[\"K\", \"V\"]],"
            + " \"capabilityArgs\": { \"x\": [1] }, \"result\": "
            + RESULT.formatted("1.0.0")
            + " }";
    try (FileSystem files = Jimfs.newFileSystem(Configuration.unix())) {
      Path results = Files.createDirectories(files.getPath("/cache/results"));
      Cni cni = Cni.builder().cache(files.getPath("/cache")).build();
      String chain =
          "{ \"cniVersion\": \"1.0.0\", \"name\": \"n\", \"plugins\": [{ \"type\": \"loopback\" }] }";
      var network =
          cni.network(NetworkConfig.parse(chain.getBytes(StandardCharsets.UTF_8), "chain"));
      var attachment = Attachment.of("c", Path.of("/no/such/namespace"), "eth0");
      assertFailuresAreCniExceptions(
          entry,
          input -> {
            Files.write(results.resolve("n-c-eth0"), input);
            cni.attachments();
            try {
              network.cachedResult(new AttachmentId("c", "eth0"));
            } finally {
              network.delete(attachment); // must not fail
              assertTrue(Files.notExists(results.resolve("n-c-eth0")));
            }
          });
    }
  }

  @Test
  void mutatedRequestsGiveCniErrors() throws Exception {
    for (String type : List.of("bridge", "host-local", "tuning", "loopback")) {
      var plugins = Cni.builder().executables().build().plugins();
      var served = new ServedPlugin(plugins.findInProcess(type).orElseThrow(), "about", plugins);
      String request =
          CONFIG.replace("\"plugins\": [ {", "").replace("} ] }", ", \"prevResult\": ")
              + RESULT.formatted("1.1.0")
              + "}";
      for (String verb : List.of("CHECK", "STATUS", "GC")) {
        for (int i = 0; i < ROUNDS / 10; i++) {
          byte[] input = mutate(request);
          var out = new ByteArrayOutputStream();
          int status =
              served.serve(
                  Map.of(
                      "CNI_COMMAND", verb,
                      "CNI_CONTAINERID", "c",
                      "CNI_NETNS", "/no/such/namespace",
                      "CNI_IFNAME", "eth0",
                      "CNI_PATH", "/no/such"),
                  new ByteArrayInputStream(input),
                  new PrintStream(out),
                  System.err);
          String printed = out.toString(StandardCharsets.UTF_8);
          if (status == 0) {
            assertEquals("", printed, new String(input, StandardCharsets.UTF_8));
          } else {
            var error = Json.parse(printed, "standard output");
            assertTrue(error.get("code").intValue() > 0, printed);
            assertTrue(!printed.contains("unexpected"), printed);
          }
        }
      }
    }
  }
}
