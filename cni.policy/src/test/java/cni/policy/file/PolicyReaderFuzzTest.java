// SPDX-License-Identifier: Apache-2.0
package cni.policy.file;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import cni.policy.Policy;
import cni.policy.RandomPolicies;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.IntNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/** The reader on random and damaged files: it never throws, and what it accepts is consistent. */
class PolicyReaderFuzzTest {
  private static final Path FILE = Path.of("p.json");
  private static final List<String> KEYS =
      List.of(
          "name",
          "podSelector",
          "networks",
          "policyTypes",
          "ingress",
          "egress",
          "bandwidth",
          "from",
          "to",
          "ports",
          "port",
          "endPort",
          "protocol",
          "ipBlock",
          "cidr",
          "except",
          "matchLabels",
          "matchExpressions",
          "key",
          "operator",
          "values",
          "namespaceSelector",
          "apiVersion",
          "kind",
          "metadata",
          "spec",
          "items",
          "ingressRate",
          "egressBurst",
          "",
          "\u0000",
          "a.b[0]");
  private static final List<JsonNode> SCALARS =
      List.of(
          StringNode.valueOf(""),
          StringNode.valueOf("In"),
          StringNode.valueOf("TCP"),
          StringNode.valueOf("Egress"),
          StringNode.valueOf("10.0.0.0/8"),
          StringNode.valueOf("::ffff:10.0.0.0/104"),
          StringNode.valueOf("::ffff:10.0.0.0/8"),
          StringNode.valueOf("a".repeat(300)),
          StringNode.valueOf("\ud800"),
          IntNode.valueOf(0),
          IntNode.valueOf(80),
          JsonNodeFactory.instance.numberNode(Long.MIN_VALUE),
          JsonNodeFactory.instance.numberNode(1e300),
          JsonNodeFactory.instance.booleanNode(true),
          JsonNodeFactory.instance.nullNode());

  private final Random random = new Random(22);

  private static void assertConsistent(byte[] text) {
    PolicyFiles files = PolicyReader.read(text, FILE);
    for (Problem problem : files.problems()) {
      assertFalse(problem.remedy().isEmpty());
      assertFalse(problem.toString().isEmpty());
    }
    for (Policy policy : files.policies()) {
      byte[] again = PolicyJson.of(policy).toString().getBytes(StandardCharsets.UTF_8);
      assertEquals(List.of(policy), PolicyReader.read(again, FILE).policies());
    }
  }

  @Test
  @Timeout(120)
  void randomPoliciesAreReadAgainAsTheyWere() {
    for (int seed = 0; seed < 2000; seed++) {
      Policy policy = new RandomPolicies(seed).policy("p");
      byte[] text = PolicyJson.of(policy).toString().getBytes(StandardCharsets.UTF_8);
      PolicyFiles files = PolicyReader.read(text, FILE);
      assertEquals(List.of(), files.problems());
      assertEquals(List.of(policy), files.policies());
    }
  }

  @Test
  @Timeout(120)
  void damagedBytesNeverThrow() {
    for (int seed = 0; seed < 3000; seed++) {
      Policy policy = new RandomPolicies(seed).policy("p");
      byte[] text = PolicyJson.of(policy).toString().getBytes(StandardCharsets.UTF_8);
      for (int i = random.nextInt(3); i >= 0; i--) {
        text[random.nextInt(text.length)] = (byte) random.nextInt(256);
      }
      assertConsistent(text);
    }
  }

  @Test
  @Timeout(120)
  void damagedTreesNeverThrow() {
    for (int seed = 0; seed < 3000; seed++) {
      ObjectNode json = PolicyJson.of(new RandomPolicies(seed).policy("p"));
      damage(json);
      assertConsistent(json.toString().getBytes(StandardCharsets.UTF_8));
    }
  }

  private void damage(JsonNode node) {
    if (node instanceof ObjectNode object) {
      for (String key : List.copyOf(object.propertyNames())) {
        if (random.nextInt(12) == 0) {
          object.set(key, anything(3));
        } else if (random.nextInt(30) == 0) {
          object.set(pick(KEYS), object.remove(key));
        } else {
          damage(object.get(key));
        }
      }
    } else if (node instanceof ArrayNode array) {
      array.forEach(this::damage);
      if (random.nextInt(12) == 0) {
        array.add(anything(3));
      }
    }
  }

  @Test
  @Timeout(120)
  void randomTreesNeverThrow() {
    for (int i = 0; i < 5000; i++) {
      assertConsistent(anything(7).toString().getBytes(StandardCharsets.UTF_8));
    }
  }

  private <T> T pick(List<T> choices) {
    return choices.get(random.nextInt(choices.size()));
  }

  private JsonNode anything(int depth) {
    int kind = depth == 0 ? 2 : random.nextInt(3);
    if (kind == 0) {
      ObjectNode object = JsonNodeFactory.instance.objectNode();
      for (int i = random.nextInt(5); i > 0; i--) {
        object.set(pick(KEYS), anything(depth - 1));
      }
      return object;
    }
    if (kind == 1) {
      ArrayNode array = JsonNodeFactory.instance.arrayNode();
      for (int i = random.nextInt(4); i > 0; i--) {
        array.add(anything(depth - 1));
      }
      return array;
    }
    return pick(SCALARS);
  }

  /** Files of the largest size take bounded time, however their content is arranged. */
  @Test
  @Timeout(240)
  void hugeFilesTakeBoundedTime() {
    List<String> patterns =
        List.of(
            "[%s]", "[{\"name\": \"a\", \"podSelector\": {}, \"ingress\": [%s]}]", "{\"a\": [%s]}");
    List<String> elements =
        List.of("1,", "{},", "{\"zzz\":1},", "\"" + "x".repeat(1000) + "\",", "[[[[[[]]]]]],");
    for (String pattern : patterns) {
      for (String element : elements) {
        int count = (PolicyReader.MAX_FILE_SIZE - 200) / element.length();
        String text = pattern.formatted(element.repeat(count) + "1");
        assertConsistent(text.getBytes(StandardCharsets.UTF_8));
      }
    }
    String deep = "[".repeat(399) + "1,".repeat(2_000_000) + "1" + "]".repeat(399);
    assertConsistent(deep.getBytes(StandardCharsets.UTF_8));
    String keys = "{\"" + "k".repeat(1_000_000) + "\":1}";
    assertConsistent(keys.getBytes(StandardCharsets.UTF_8));
  }
}
