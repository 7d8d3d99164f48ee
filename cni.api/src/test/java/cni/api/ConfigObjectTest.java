// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class ConfigObjectTest {
  private interface Accessor {
    Object read(ConfigObject object) throws CniException;
  }

  private static ConfigObject parse(String text) throws CniException {
    return new ConfigObject(Json.parse(text, "test"), "ipam");
  }

  private static void assertRepeated(ConfigObject object, String key, Accessor accessor) {
    CniException e = assertThrows(CniException.class, () -> accessor.read(object));
    assertEquals(7, e.code());
    assertEquals(
        "ipam." + key + " appears more than once in the same object: keep one of them",
        e.getMessage());
  }

  @Test
  void everyAccessorRefusesARepeatedKey() throws CniException {
    for (String value : List.of("1", "null", "\"1\"", "[]", "{}", "true")) {
      ConfigObject object = parse("{\"a\":" + value + ",\"b\":1,\"a\":" + value + "}");
      List<Accessor> accessors =
          List.of(
              it -> it.text("a"),
              it -> it.nonEmpty("A"),
              it -> it.parsed("a", SpecVersion::parse),
              it -> it.bool("a"),
              it -> it.bool("a", true),
              it -> it.integer("a", 0, 1),
              it -> it.uint32("a"),
              it -> it.object("a"),
              it -> it.texts("a"),
              it -> it.parsedList("a", SpecVersion::parse),
              it -> it.objects("a"),
              it -> it.objectLists("a"));
      for (Accessor accessor : accessors) {
        CniException e = assertThrows(CniException.class, () -> accessor.read(object));
        assertEquals(7, e.code());
        assertTrue(e.getMessage().contains("appears more than once"), e::getMessage);
      }
      assertEquals(OptionalInt.of(1), object.integer("b", 0, 1)); // others are read
      assertThrows(CniException.class, object::requireDistinctKeys);
    }
  }

  @Test
  void repeatedKeysAreFoundAtEveryLevelAndInEveryCase() throws CniException {
    ConfigObject object =
        parse(
            "{\"x\":[{\"MTU\":1,\"MTU\":1}],\"y\":{\"k\":\"v\",\"k\":\"w\",\"l\":\"v\"},\"mtu\":1}");
    object.requireDistinctKeys();
    ConfigObject list = object.objects("x").getFirst();
    assertThrows(CniException.class, () -> list.integer("mtu", 0, 1));
    ConfigObject y = object.object("y").orElseThrow();
    assertEquals(List.of("k", "l"), y.keys());
    assertThrows(CniException.class, () -> y.text("k"));
    assertEquals(Optional.of("v"), y.text("l"));
  }

  @Test
  void copiesRefuseTheSameKeys() throws CniException {
    ConfigObject object = parse("{\"a\":1,\"a\":2}");
    assertRepeated(new ConfigObject(Json.copy(object.json()), "ipam"), "a", it -> it.uint32("a"));
    assertRepeated(new ConfigObject(object.json().deepCopy(), "ipam"), "a", it -> it.uint32("a"));
    assertEquals("{\"a\":2}", object.json().toString()); // what an executable gets
  }

  @Test
  void longKeysAreCutInMessages() throws CniException {
    String key = "k".repeat(40_000);
    ConfigObject object = parse("{\"" + key + "\":1,\"" + key + "\":2}");
    CniException e = assertThrows(CniException.class, object::requireDistinctKeys);
    assertTrue(e.getMessage().length() < 400, e::getMessage);
  }
}
