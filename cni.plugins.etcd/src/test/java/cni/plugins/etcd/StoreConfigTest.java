// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Json;
import cni.api.PluginConfig;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

class StoreConfigTest {
  private static PluginConfig config(String change) throws CniException {
    ObjectNode json =
        Json.parse(
            "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"type\":\"bridge\",\"ipam\":{}}", "test");
    ObjectNode ipam = (ObjectNode) json.get("ipam");
    ipam.put("type", "etcd").put("node", "a");
    ipam.putArray("endpoints").add("http://127.0.0.1:2379");
    ipam.putArray("ranges").addArray().addObject().put("subnet", "10.1.0.0/16");
    ipam.setAll(Json.parse("{" + change + "}", "the change"));
    return PluginConfig.of(new ConfigObject(json, ""));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "'endpoints': 7",
        "'endpoints': []",
        "'endpoints': null",
        "'endpoints': [7]",
        "'endpoints': ['']",
        "'endpoints': ['127.0.0.1:2379']",
        "'endpoints': ['http://127.0.0.1']",
        "'endpoints': ['http://127.0.0.1:0']",
        "'endpoints': ['http://127.0.0.1:99999']",
        "'endpoints': ['http://127.0.0.1:99999999999']",
        "'endpoints': ['http://127.0.0.1:x']",
        "'endpoints': ['http://127.0.0.1:1/v3']",
        "'endpoints': ['http://127.0.0.1:1?a=b']",
        "'endpoints': ['http://127.0.0.1:1#a']",
        "'endpoints': ['http://user@127.0.0.1:1']",
        "'endpoints': ['ftp://127.0.0.1:1']",
        "'endpoints': ['http://[::1:1']",
        "'endpoints': ['http://a b:1']",
        "'endpoints': ['http:127.0.0.1']",
        "'endpoints': ['http://h_st:1']",
        "'endpoints': ['http://\\u00e4:1']",
        "'timeout': 0",
        "'timeout': 601",
        "'timeout': '5'",
        "'timeout': 1e99",
        "'gcGrace': -1",
        "'gcGrace': 1.5",
        "'releaseAfter': 59",
        "'prefix': 'x'",
        "'prefix': '/'",
        "'prefix': '/x/'",
        "'prefix': 5",
        "'prefix': '//x'",
        "'prefix': '/x//y'",
        "'prefix': '/x\\u0000'",
        "'prefix': '/x\\ny'",
        "'prefix': '/x\\u200by'",
        "'prefix': '/x\\ud800'",
        "'node': '.'",
        "'node': '..'",
        "'node': '-a'",
        "'node': 'a/b'",
        "'node': ' '",
        "'node': {}",
        "'dataDir': 'x'",
        "'dataDir': '/\\u0000'",
        "'tls': []",
        "'tls': {'ca': 'x.pem'}",
        "'tls': {'cert': '/x.pem'}",
        "'tls': {'key': '/x.pem'}",
        "'tls': {'serverName': 5}",
        "'tls': {'serverName': 'https://x'}",
        "'tls': {'serverName': 'x:2379'}",
        "'tls': {'serverName': '10.0.0.300'}",
        "'tls': {'serverName': '.x'}",
        "'tls': {'serverName': 'x..y'}",
        "'tls': {'serverName': '*.x'}",
        "'user': 'a'",
        "'user': ['a']",
        "'password': 'x'",
        "'passwordFile': '/x'",
        "'passwordFile': 'x', 'user': 'a'",
        "'user': 'a', 'password': 'x', 'passwordFile': '/x'",
        "'blockSize': 19",
        "'blockSize': 33",
        "'blockSizeV6': 64",
        "'sticky': 'yes'",
        "'exclude': 'x'",
        "'exclude': ['x']",
        "'exclude': ['10.1.0.0/99']",
        "'exclude': ['10.1.0.0/16']",
        "'ranges': [[]]",
        "'ranges': [[{'subnet': 'x'}]]",
        "'resolvConf': '/\\u0000'",
        "'dns': 5"
      })
  void invalidKeysAreNamed(String change) {
    String json = change.replace('\'', '"');
    CniException e = assertThrows(CniException.class, () -> EtcdConfig.validate(config(json)));
    assertEquals(7, e.code(), e::getMessage);
    String key = change.substring(1, change.indexOf('\'', 1));
    String message = e.getMessage();
    assertTrue(
        message.contains("ipam." + key) || (key.startsWith("password") && message.contains("user")),
        message);
  }

  @Test
  void rulesForTheNodeNameAreExplained() {
    for (String it : List.of(".", "..", "a".repeat(256))) {
      CniException e =
          assertThrows(
              CniException.class, () -> EtcdConfig.validate(config("\"node\":\"" + it + "\"")));
      assertTrue(e.getMessage().contains("begin with a letter or digit"), e::getMessage);
      assertTrue(e.getMessage().contains("at most 255"), e::getMessage);
    }
  }

  @Test
  void unknownFieldsOfUrlsThatEtcdAcceptsAreAccepted() throws Exception {
    for (String it : new String[] {"http://[::1]:2379", "https://etcd-0.example:2379/"}) {
      EtcdConfig.parse(config("\"endpoints\":[\"" + it + "\"]"));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "etcd",
        "etcd-0.example.org",
        "my_etcd_1",
        "0.pool",
        "3com",
        "10.0.0.1",
        "fd00::1"
      })
  void serverNamesThatCertificatesMayHaveAreAccepted(String name) throws Exception {
    var parsed = EtcdConfig.parse(config("\"tls\":{\"serverName\":\"" + name + "\"}"));
    assertEquals(Optional.of(name), parsed.store().etcd().tls().serverName());
  }

  @Test
  void messagesDoNotContainThePassword() {
    for (String it : new String[] {"\"password\":4711", "\"password\":[\"4711\"]"}) {
      CniException e =
          assertThrows(CniException.class, () -> EtcdConfig.parse(config("\"user\":\"u\"," + it)));
      assertTrue(e.getMessage().contains("ipam.password"), e::getMessage);
      assertFalse(e.toString().contains("4711"), e::getMessage);
      assertEquals(null, e.getCause());
    }
  }
}
