// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.api.Json;
import java.util.List;
import java.util.Map;
import java.util.Random;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Mutations of JSON trees, for targets behind a parser: the mutation is JSON, too, with other
 * values of any type at random places.
 */
public final class JsonMutator {
  private static final int MAX_CHANGES = 4;

  /** One in so many changes removes or repeats a value, all others replace one. */
  private static final int CHANGES_PER_REMOVAL = 8;

  /** One in so many containers is itself changed, not a value in it. */
  private static final int DEPTH = 4;

  private JsonMutator() {}

  /** Returns a copy with one to {@value #MAX_CHANGES} values replaced, removed or repeated. */
  public static ObjectNode mutate(ObjectNode original, Random random) {
    ObjectNode mutated = original.deepCopy();
    for (int change = random.nextInt(MAX_CHANGES); change >= 0; change--) {
      change(mutated, random);
    }
    return mutated;
  }

  private static void change(JsonNode node, Random random) {
    if (node instanceof ObjectNode object && !object.isEmpty()) {
      changeMember(object, random);
    } else if (node instanceof ArrayNode array && !array.isEmpty()) {
      changeElement(array, random);
    }
  }

  private static void changeMember(ObjectNode object, Random random) {
    List<String> keys = object.properties().stream().map(Map.Entry::getKey).toList();
    String key = keys.get(random.nextInt(keys.size()));
    JsonNode child = object.path(key);
    if (descends(child, random)) {
      change(child, random);
    } else if (random.nextInt(CHANGES_PER_REMOVAL) == 0) {
      object.remove(key);
    } else {
      object.set(key, replacement(child, random));
    }
  }

  private static void changeElement(ArrayNode array, Random random) {
    int index = random.nextInt(array.size());
    JsonNode child = array.get(index);
    if (descends(child, random)) {
      change(child, random);
    } else if (random.nextInt(CHANGES_PER_REMOVAL) == 0) {
      array.add(child.deepCopy());
    } else {
      array.set(index, replacement(child, random));
    }
  }

  private static boolean descends(JsonNode child, Random random) {
    return child.isContainer() && !child.isEmpty() && random.nextInt(DEPTH) > 0;
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
      default -> one.add(changeCharacter(old.asString(""), random));
    }
    return one.get(0);
  }

  /** Changes, inserts or removes a character. */
  private static String changeCharacter(String text, Random random) {
    String alphabet = "\0\n \t!-+{}[]()<>=,./:%$*?\\\"'#@0129afzAZ\ud800\u00e9\u2028\ud83d";
    int at = random.nextInt(text.length() + 1);
    String inserted = String.valueOf(alphabet.charAt(random.nextInt(alphabet.length())));
    int removed = at < text.length() ? random.nextInt(2) : 0;
    return text.substring(0, at)
        + (random.nextInt(4) == 0 ? "" : inserted)
        + text.substring(at + removed);
  }
}
