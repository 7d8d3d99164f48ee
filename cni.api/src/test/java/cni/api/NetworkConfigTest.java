// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.StringNode;

class NetworkConfigTest {
  private static NetworkConfig parse(String text) throws CniException {
    return NetworkConfig.parse(text.getBytes(StandardCharsets.UTF_8), "net.conf");
  }

  private static CniException refused(String text) {
    return assertThrows(CniException.class, () -> parse(text), text);
  }

  @Test
  void listKeepsItsOrderAndUnknownKeys() throws CniException {
    NetworkConfig config =
        parse(
            """
            { "cniVersion": "1.0.0", "name": "n", "disableCheck": "true", "later": [1],
              "plugins": [ { "type": "bridge", "x": { "y": 1.0 } }, { "type": "tuning" } ] }
            """);
    assertEquals("n", config.name());
    assertEquals(SpecVersion.V1_0_0, config.version());
    assertTrue(config.disableCheck());
    assertFalse(config.disableGc());
    assertEquals(
        List.of("bridge", "tuning"), config.plugins().stream().map(PluginConfig::type).toList());
    assertTrue(config.json().has("later"));
    assertEquals("{\"y\":1.0}", config.plugins().getFirst().json().get("x").toString());
  }

  @Test
  void singlePluginBecomesListOfOne() throws CniException {
    NetworkConfig config = parse("{\"name\":\"n\",\"type\":\"bridge\",\"mtu\":9000}");
    assertEquals(SpecVersion.V0_1_0, config.version());
    assertEquals(1, config.plugins().size());
    assertEquals(9000, config.plugins().getFirst().json().get("mtu").intValue());
    assertTrue(config.json().has("plugins"));
  }

  @Test
  void newestKnownVersionIsChosen() throws CniException {
    String end = ",\"name\":\"n\",\"plugins\":[{\"type\":\"t\"}]}";
    assertEquals(
        SpecVersion.V1_1_0,
        parse("{\"cniVersions\":[\"0.4.0\",\"1.1.0\",\"9.0.0\"],\"cniVersion\":\"1.0.0\"" + end)
            .version());
    CniException e = refused("{\"cniVersion\":\"9.0.0\"" + end);
    assertEquals(1, e.code());
    assertTrue(e.getMessage().contains("9.0.0") && e.getMessage().contains("1.1.0"), e::getMessage);
  }

  @Test
  void invalidJsonIsReportedWithFileLineAndColumn() {
    CniException e = refused("{\n  \"name\": \"n\",\n  oops\n}");
    assertEquals(6, e.code());
    assertTrue(e.getMessage().contains("net.conf"), e::getMessage);
    assertTrue(e.getMessage().contains("line 3, column"), e::getMessage);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "[]|6|object",
        "{\"name\":\"n\"} x|6|line 1",
        "{\"plugins\":[{\"type\":\"t\"}]}|7|name is missing",
        "{\"name\":\"../x\",\"plugins\":[{\"type\":\"t\"}]}|7|../x",
        "{\"name\":\"n\",\"plugins\":[]}|7|plugins",
        "{\"name\":\"n\"}|7|plugins",
        "{\"name\":\"n\",\"plugins\":[{\"mtu\":1}]}|7|plugins[0].type",
        "{\"name\":\"n\",\"plugins\":[{\"type\":\"a/b\"}]}|7|a/b",
        "{\"name\":\"n\",\"plugins\":[{\"type\":5}]}|7|plugins[0].type must be a string",
        "{\"name\":\"n\",\"plugins\":{}}|7|plugins must be a list",
        "{\"name\":\"n\",\"cniVersion\":\"one\",\"plugins\":[{\"type\":\"t\"}]}|7|cniVersion",
        "{\"name\":\"a\",\"name\":\"b\",\"plugins\":[{\"type\":\"t\"}]}|7|name appears more than once",
        "{\"name\":\"a\",\"name\":\"b\",\"type\":\"t\"}|7|name appears more than once",
        "{\"name\":\"n\",\"plugins\":[{\"type\":\"t\",\"type\":\"t\"}]}|7|plugins[0].type appears",
        "{\"name\":\"n\",\"disableCheck\":\"maybe\",\"plugins\":[{\"type\":\"t\"}]}|7|disableCheck",
      })
  void invalidConfigurationIsReportedWithTheKey(String text, int code, String part) {
    CniException e = refused(text);
    assertEquals(code, e.code(), e::getMessage);
    assertTrue(e.getMessage().contains(part), e::getMessage);
    assertTrue(e.getMessage().contains("net.conf"), e::getMessage);
  }

  @Test
  void nameOfInvalidConfigurationIsTheOneThatGoReads() throws CniException {
    for (String text :
        List.of("{\"name\":\"a\",\"name\":\"b\"}", "{\"Name\":\"b\",\"plugins\":1}")) {
      assertEquals("b", NetworkConfig.nameOf(text.getBytes(StandardCharsets.UTF_8), "x"));
    }
    assertEquals("", NetworkConfig.nameOf("{\"name\":1}".getBytes(StandardCharsets.UTF_8), "x"));
  }

  @Test
  void repeatedKeysAreRefusedWhereTheyAreReadAndPassedOn() throws CniException {
    PluginConfig request =
        parse(
                "{\"name\":\"n\",\"plugins\":[{\"type\":\"t\",\"a\":1,\"a\":2,\"b\":{\"c\":1,\"c\":2}}]}")
            .plugins()
            .getFirst()
            .forRequest("n", SpecVersion.V1_1_0, Map.of());
    assertEquals(
        "a appears more than once in the same object: keep one of them",
        assertThrows(CniException.class, () -> request.view().integer("a", 0, 9)).getMessage());
    ConfigObject b = request.view().object("b").orElseThrow();
    assertThrows(CniException.class, () -> b.integer("c", 0, 9));
    assertEquals(
        "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"type\":\"t\",\"a\":2,\"b\":{\"c\":2}}",
        new String(Json.bytes(request.json()), StandardCharsets.UTF_8));
  }

  @Test
  void requestConfigurationIsDerivedAsSpecified() throws CniException {
    NetworkConfig config =
        parse(
            """
            { "cniVersion": "1.1.0", "name": "n", "plugins": [ {
                "type": "t", "name": "inner", "cniVersion": "0.1.0", "kept": null,
                "capabilities": { "mac": true, "ips": false },
                "cni.dev/valid-attachments": [], "args": { "cni": { "ips": ["10.0.0.1"] } } } ] }
            """);
    PluginConfig request =
        config
            .plugins()
            .getFirst()
            .forRequest(
                "n",
                SpecVersion.V1_1_0,
                Map.of("mac", StringNode.valueOf("m"), "ips", StringNode.valueOf("i")));
    assertEquals(
        Json.parse(
            """
            { "cniVersion": "1.1.0", "name": "n", "type": "t", "kept": null,
              "args": { "cni": { "ips": ["10.0.0.1"] } }, "runtimeConfig": { "mac": "m" } }
            """,
            "expected"),
        request.json());
    assertTrue(config.plugins().getFirst().json().has("capabilities")); // the original is untouched
  }
}
