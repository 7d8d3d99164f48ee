// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

class ResultJsonTest {
  private static final String FULL =
      """
      {
        "cniVersion": "1.1.0",
        "interfaces": [
          { "name": "br0", "mac": "02:00:00:00:00:01", "mtu": 1500 },
          { "name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/c", "socketPath": "/s", "pciID": "0" }
        ],
        "ips": [
          { "address": "10.1.0.5/16", "gateway": "10.1.0.1", "interface": 1 },
          { "address": "fd00::5/64" }
        ],
        "routes": [
          { "dst": "0.0.0.0/0", "gw": "10.1.0.1", "mtu": 1400, "advmss": 1360, "priority": 5, "table": 100, "scope": 0 },
          { "dst": "fd01::/48" }
        ],
        "dns": { "nameservers": ["10.1.0.1"], "domain": "local", "search": ["a", "b"], "options": ["ndots:5"] }
      }
      """;

  private static ObjectNode json(String text) throws CniException {
    return Json.parse(text, "test");
  }

  private static Result full() throws CniException {
    return ResultJson.read(json(FULL), SpecVersion.CURRENT);
  }

  @Test
  void resultSurvivesReadingAndWriting() throws CniException {
    assertEquals(json(FULL), ResultJson.write(full(), SpecVersion.V1_1_0));
    Result result = full();
    assertEquals(1, result.ipsOf(1).size());
    assertEquals("eth0", result.find("eth0", "/run/netns/c").orElseThrow().name());
    assertTrue(result.find("eth0", "").isEmpty());
  }

  @Test
  void version04NamesTheFamilyAndOmitsNewInterfaceKeys() throws CniException {
    ObjectNode old = ResultJson.write(full(), SpecVersion.V0_4_0);
    assertEquals("4", old.at("/ips/0/version").asString());
    assertEquals("6", old.at("/ips/1/version").asString());
    assertTrue(old.at("/interfaces/1/socketPath").isMissingNode());
    assertEquals(full().ips(), ResultJson.read(old, SpecVersion.CURRENT).ips());
  }

  @Test
  void version02HasOneBlockPerFamily() throws CniException {
    ObjectNode old = ResultJson.write(full(), SpecVersion.V0_2_0);
    assertEquals("10.1.0.5/16", old.at("/ip4/ip").asString());
    assertEquals("0.0.0.0/0", old.at("/ip4/routes/0/dst").asString());
    assertEquals("fd00::5/64", old.at("/ip6/ip").asString());
    Result read = ResultJson.read(old, SpecVersion.CURRENT);
    assertEquals(2, read.ips().size());
    assertEquals(2, read.routes().size());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"ips\":[{\"address\":\"10.1.0.5\"}]}",
        "{\"ips\":[{}]}",
        "{\"ips\":[{\"address\":\"10.0.0.1/8\",\"interface\":-2}]}",
        "{\"ips\":[{\"address\":\"10.0.0.1/8\",\"interface\":2147483648}]}",
        "{\"ips\":[{\"address\":\"10.0.0.1/8\",\"interface\":-1.5}]}",
        "{\"ips\":[{\"address\":\"10.0.0.1/8\",\"address\":\"10.0.0.2/8\"}]}",
        "{\"ips\":\"x\"}",
        "{\"interfaces\":[1]}",
        "{\"routes\":[{\"dst\":\"10.0.0.0/8\",\"gw\":\"x\"}]}",
        "{\"routes\":[{\"dst\":\"10.0.0.0/8\",\"mtu\":99999999999}]}",
        "{\"cniVersion\":\"x\"}"
      })
  void malformedResultIsRefused(String text) throws CniException {
    ObjectNode json = json(text);
    CniException e =
        assertThrows(CniException.class, () -> ResultJson.read(json, SpecVersion.CURRENT));
    assertEquals(6, e.code(), e::getMessage);
  }

  @ParameterizedTest
  @ValueSource(strings = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"})
  void interfaceMinusOneMeansNone(String version) throws CniException {
    ObjectNode json =
        json(
            "{\"cniVersion\":\"%s\",\"ips\":[{\"address\":\"10.0.0.1/8\",\"interface\":-1}]}"
                .formatted(version));
    Result result = ResultJson.read(json, SpecVersion.CURRENT);
    assertEquals(OptionalInt.empty(), result.ips().getFirst().interfaceIndex());
    assertFalse(ResultJson.write(result, SpecVersion.CURRENT).at("/ips/0").has("interface"));
  }

  @Test
  void unknownVersionIsRefused() throws CniException {
    ObjectNode json = json("{\"cniVersion\":\"2.0.0\"}");
    assertEquals(
        1,
        assertThrows(CniException.class, () -> ResultJson.read(json, SpecVersion.CURRENT)).code());
  }

  @Test
  void errorIsWrittenAsSpecified() throws CniException {
    var error = new CniException(7, "no luck", "at all", null);
    assertEquals(
        json("{\"cniVersion\":\"1.1.0\",\"code\":7,\"msg\":\"no luck\",\"details\":\"at all\"}"),
        error.toJson(SpecVersion.V1_1_0));
    assertEquals("outer: no luck", error.withContext("outer").getMessage());
    assertEquals(7, error.withContext("outer").code());
  }
}
