// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import tools.jackson.databind.node.ObjectNode;

/**
 * Tests the conversion of a result of every version to every other, as by the Go library
 * (pkg/types/020, 040 and 100). There are three forms, hence nine cases. The Go library keeps every
 * key of routes from 0.3.0 on, and writes 1.0.0 and 1.1.0 alike.
 */
class ResultConversionTest {
  private static final String V1_0_FORM =
      """
      { "interfaces": [
          { "name": "br0", "mac": "02:00:00:00:00:01", "mtu": 1500 },
          { "name": "eth0", "sandbox": "/x", "socketPath": "/s", "pciID": "0000:01:00.0" } ],
        "ips": [
          { "address": "10.1.0.5/16", "gateway": "10.1.0.1", "interface": 1 },
          { "address": "10.2.0.5/16", "interface": 1 },
          { "address": "fd00::5/64", "gateway": "fd00::1", "interface": 1 } ],
        "routes": [
          { "dst": "0.0.0.0/0", "gw": "10.1.0.1", "mtu": 1400, "advmss": 1360, "priority": 5,
            "table": 3000000000, "scope": 0 },
          { "dst": "fd01::/48" } ],
        "dns": { "nameservers": ["10.1.0.1"], "domain": "local" } }
      """;

  private static final String V0_3_FORM =
      """
      { "interfaces": [
          { "name": "br0", "mac": "02:00:00:00:00:01" },
          { "name": "eth0", "sandbox": "/x" } ],
        "ips": [
          { "version": "4", "address": "10.1.0.5/16", "gateway": "10.1.0.1", "interface": 1 },
          { "version": "4", "address": "10.2.0.5/16", "interface": 1 },
          { "version": "6", "address": "fd00::5/64", "gateway": "fd00::1", "interface": 1 } ],
        "routes": [
          { "dst": "0.0.0.0/0", "gw": "10.1.0.1", "mtu": 1400, "advmss": 1360, "priority": 5,
            "table": 3000000000, "scope": 0 },
          { "dst": "fd01::/48" } ],
        "dns": { "nameservers": ["10.1.0.1"], "domain": "local" } }
      """;

  private static final String V0_1_FORM =
      """
      { "ip4": { "ip": "10.1.0.5/16", "gateway": "10.1.0.1",
                 "routes": [{ "dst": "0.0.0.0/0", "gw": "10.1.0.1" }] },
        "ip6": { "ip": "fd00::5/64", "gateway": "fd00::1", "routes": [{ "dst": "fd01::/48" }] },
        "dns": { "nameservers": ["10.1.0.1"], "domain": "local" } }
      """;

  /** The form of 1.0 without the keys that the form of 0.3 does not have. */
  private static final String V1_0_FROM_V0_3 =
      V1_0_FORM
          .replace(", \"mtu\": 1500", "")
          .replace(", \"socketPath\": \"/s\", \"pciID\": \"0000:01:00.0\"", "");

  private static final String V0_3_FROM_V0_1 =
      """
      { "ips": [
          { "version": "4", "address": "10.1.0.5/16", "gateway": "10.1.0.1" },
          { "version": "6", "address": "fd00::5/64", "gateway": "fd00::1" } ],
        "routes": [{ "dst": "0.0.0.0/0", "gw": "10.1.0.1" }, { "dst": "fd01::/48" }],
        "dns": { "nameservers": ["10.1.0.1"], "domain": "local" } }
      """;

  private static final String V1_0_FROM_V0_1 =
      V0_3_FROM_V0_1.replace("\"version\": \"4\", ", "").replace("\"version\": \"6\", ", "");

  private enum Form {
    V0_1,
    V0_3,
    V1_0
  }

  private static Form form(SpecVersion version) {
    if (version.atLeast(SpecVersion.V1_0_0)) {
      return Form.V1_0;
    }
    return version.atLeast(SpecVersion.V0_3_0) ? Form.V0_3 : Form.V0_1;
  }

  private static String expected(Form from, Form to) {
    return switch (to) {
      case V0_1 -> V0_1_FORM;
      case V0_3 -> from == Form.V0_1 ? V0_3_FROM_V0_1 : V0_3_FORM;
      case V1_0 ->
          switch (from) {
            case V0_1 -> V1_0_FROM_V0_1;
            case V0_3 -> V1_0_FROM_V0_3;
            case V1_0 -> V1_0_FORM;
          };
    };
  }

  private static ObjectNode json(String text, SpecVersion version) throws CniException {
    return Json.parse(text, "test").put("cniVersion", version.toString());
  }

  @Test
  void everyVersionConvertsToEveryOther() throws CniException {
    for (SpecVersion from : SpecVersion.ALL) {
      String text = expected(form(from), form(from));
      Result result = ResultJson.read(json(text, from), SpecVersion.CURRENT);
      for (SpecVersion to : SpecVersion.ALL) {
        assertEquals(
            json(expected(form(from), form(to)), to),
            ResultJson.write(result, to),
            from + " to " + to);
      }
    }
  }

  @Test
  void interfacesWithoutAddressesCannotBeWrittenBefore030() throws CniException {
    String text = "{ \"interfaces\": [{ \"name\": \"eth0\" }] }";
    Result result = ResultJson.read(json(text, SpecVersion.V1_0_0), SpecVersion.CURRENT);
    CniException e =
        assertThrows(CniException.class, () -> ResultJson.write(result, SpecVersion.V0_2_0));
    assertEquals(1, e.code());
    // A result that never had interfaces is converted without loss.
    ObjectNode empty = json("{ \"dns\": { \"domain\": \"d\" } }", SpecVersion.V0_2_0);
    assertEquals(
        empty, ResultJson.write(ResultJson.read(empty, SpecVersion.CURRENT), SpecVersion.V0_2_0));
  }
}
