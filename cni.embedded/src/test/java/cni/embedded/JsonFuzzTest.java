// SPDX-License-Identifier: Apache-2.0
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
import cni.testing.BytesMutator;
import cni.testing.MutationCampaign;
import cni.testing.MutationCampaign.Outcome;
import cni.testing.MutationCampaign.Target;
import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/**
 * Mutates JSON: invalid configurations, results, cache files and requests cause the specification's
 * errors and nothing else.
 */
class JsonFuzzTest {
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

  /** Passes mutations to a target that refuses some of them, with errors of the specification. */
  private static void assertFailuresAreCniExceptions(
      String name, String text, Target<byte[]> target) {
    Outcome outcome = run(name, text, ROUNDS, target);
    assertTrue(outcome.refused() > ROUNDS / 10, outcome::toString);
    assertTrue(outcome.accepted() > 0, outcome::toString);
  }

  private static Outcome run(String name, String text, int rounds, Target<byte[]> target) {
    List<byte[]> valid = List.of(text.getBytes(StandardCharsets.UTF_8));
    return MutationCampaign.run(
        name,
        rounds,
        random -> BytesMutator.mutate(valid, random),
        input -> {
          try {
            target.accept(input);
          } catch (CniException e) {
            assertTrue(e.code() > 0 && !e.getMessage().isEmpty(), e::getMessage);
            assertTrue(!e.getMessage().contains("unexpected"), e::getMessage);
            throw e;
          }
        },
        CniException.class);
  }

  @Test
  void mutatedConfigurationsGiveCniErrors(@TempDir Path cache) throws Exception {
    Cni cni = Cni.builder().executables().cache(cache).build();
    assertFailuresAreCniExceptions(
        "configurations", CONFIG, input -> cni.network(NetworkConfig.parse(input, "x")).status());
  }

  @Test
  void mutatedResultsGiveCniErrors() throws Exception {
    for (SpecVersion version :
        List.of(SpecVersion.V0_2_0, SpecVersion.V0_4_0, SpecVersion.V1_1_0)) {
      assertFailuresAreCniExceptions(
          "results",
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
          "cache entries",
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

  @ParameterizedTest
  @ValueSource(strings = {"bridge", "host-local", "tuning", "loopback"})
  void mutatedRequestsGiveCniErrors(String type) throws Exception {
    var plugins = Cni.builder().executables().build().plugins();
    var served = new ServedPlugin(plugins.findInProcess(type).orElseThrow(), "about", plugins);
    String request =
        CONFIG.replace("\"plugins\": [ {", "").replace("} ] }", ", \"prevResult\": ")
            + RESULT.formatted("1.1.0")
            + "}";
    for (String verb : List.of("CHECK", "STATUS", "GC")) {
      run(verb + " of " + type, request, ROUNDS / 10, input -> serve(served, verb, input));
    }
  }

  /**
   * Serves a request.
   *
   * @throws CniException with the code and the text of the error that is printed
   */
  private static void serve(ServedPlugin served, String verb, byte[] input) throws CniException {
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
      assertEquals("", printed);
    } else {
      ObjectNode error = Json.parse(printed, "standard output");
      throw new CniException(error.get("code").intValue(), printed, "", null);
    }
  }
}
