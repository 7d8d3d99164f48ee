// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import cni.api.internal.NullChecks;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A typed view of a JSON object in a configuration. Errors name a key by its full path, such as
 * {@code ipam.ranges[0][1].subnet}.
 *
 * <p>Keys are looked up as by Go's encoding/json: a key with the value null counts as absent, and
 * if there is no exact match, the last key that differs only in case is used.
 *
 * <p>A key that the text of the object has more than once is refused when it is read: which of the
 * values was meant is not known, and other implementations may use another one.
 *
 * <p>Every accessor throws {@link CniException} with code 7 if the value has another type than the
 * accessor returns, or the key is repeated.
 *
 * <p>Validation passes views to plugins that record which keys are read; see {@link
 * ConfigRecorder}.
 */
public sealed class ConfigObject permits RecordingConfigObject {
  private static final long MAX_UNSIGNED = 0xffff_ffffL;

  private final ObjectNode json;
  private final String path;

  /**
   * Creates a view.
   *
   * @param json the object; not copied
   * @param path the object's path in the configuration; the empty string for the whole
   *     configuration
   */
  public ConfigObject(ObjectNode json, String path) {
    requireNonNull(json, "json");
    requireNonNull(path, "path");
    this.json = json;
    this.path = path;
  }

  /** Returns the tree itself, not a copy; it must not be changed. */
  public ObjectNode json() {
    return json;
  }

  /** Returns the tree as {@link #json} does, for readers that are not to be recorded. */
  final ObjectNode content() {
    return json;
  }

  /** Returns the path of this object; the empty string for the whole configuration. */
  public String path() {
    return path;
  }

  /** Returns the full path of a key, from the top of the configuration. */
  public String path(String key) {
    requireNonNull(key, "key");
    return path.isEmpty() ? key : path + "." + key;
  }

  /** Returns whether the key is present and not null. */
  public boolean has(String key) {
    requireNonNull(key, "key");
    return node(key) != null;
  }

  /**
   * Returns a string.
   *
   * @throws CniException code 7 if the value is not a string
   */
  public Optional<String> text(String key) throws CniException {
    requireNonNull(key, "key");
    JsonNode node = value(key);
    if (node == null) {
      return Optional.empty();
    }
    if (!node.isString()) {
      throw ConfigErrors.wrongType(path(key), node, "a string");
    }
    return Optional.of(node.stringValue());
  }

  /**
   * Returns a string; the empty string counts as absent, as it does for the Go plugins.
   *
   * @throws CniException code 7 if the value is not a string
   */
  public Optional<String> nonEmpty(String key) throws CniException {
    return text(key).filter(value -> !value.isEmpty());
  }

  /**
   * Returns a string converted by a parser; the empty string counts as absent.
   *
   * @param parser throws IllegalArgumentException with a message that continues a sentence
   *     beginning with the value, such as "is not an IP address"
   * @throws CniException code 7 if the value is not a string or the parser rejects it
   */
  public <T> Optional<T> parsed(String key, Function<String, T> parser) throws CniException {
    requireNonNull(parser, "parser");
    Optional<String> text = nonEmpty(key);
    return text.isEmpty()
        ? Optional.empty()
        : Optional.of(parse(path(key), text.orElseThrow(), parser));
  }

  /**
   * Returns a boolean, false if absent.
   *
   * @throws CniException code 7 if the value is not a boolean
   */
  public boolean bool(String key) throws CniException {
    return bool(key, false);
  }

  /**
   * Returns a boolean, false if absent.
   *
   * @param allowString whether the strings "true" and "false" are accepted too, in any case, as by
   *     libcni for some keys
   * @throws CniException code 7 if the value is something else
   */
  public boolean bool(String key, boolean allowString) throws CniException {
    requireNonNull(key, "key");
    JsonNode node = value(key);
    if (allowString && node != null && node.isString()) {
      return parse(path(key), node.stringValue(), ConfigObject::parseBoolean);
    }
    if (node != null && !node.isBoolean()) {
      String expected = "true or false" + (allowString ? "" : ", without quotes");
      throw ConfigErrors.wrongType(path(key), node, expected);
    }
    return node != null && node.booleanValue();
  }

  private static boolean parseBoolean(String text) {
    return switch (text.toLowerCase(Locale.ROOT)) {
      case "true" -> true;
      case "false" -> false;
      default -> throw new IllegalArgumentException("must be true or false");
    };
  }

  /**
   * Returns an integer.
   *
   * @throws CniException code 7 if the value is not an integer from {@code min} to {@code max}
   */
  public OptionalInt integer(String key, int min, int max) throws CniException {
    requireNonNull(key, "key");
    OptionalLong number = longInteger(key, min, max);
    return number.isPresent() ? OptionalInt.of((int) number.getAsLong()) : OptionalInt.empty();
  }

  /**
   * Returns an integer of up to 64 bits.
   *
   * @throws CniException code 7 if the value is not an integer from {@code min} to {@code max}
   */
  public OptionalLong longInteger(String key, long min, long max) throws CniException {
    requireNonNull(key, "key");
    JsonNode node = value(key);
    if (node == null) {
      return OptionalLong.empty();
    }
    if (!node.isIntegralNumber()) {
      throw ConfigErrors.wrongType(path(key), node, "a whole number");
    }
    if (!node.canConvertToLong() || node.longValue() < min || node.longValue() > max) {
      throw invalid(key, "must be between " + min + " and " + max);
    }
    return OptionalLong.of(node.longValue());
  }

  /**
   * Returns an unsigned 32-bit integer, the type of many netlink attributes.
   *
   * @throws CniException code 7 if the value is not an integer from 0 to 4294967295
   */
  public OptionalLong uint32(String key) throws CniException {
    return longInteger(key, 0, MAX_UNSIGNED);
  }

  /**
   * Returns an object.
   *
   * @throws CniException code 7 if the value is not an object
   */
  public Optional<ConfigObject> object(String key) throws CniException {
    requireNonNull(key, "key");
    JsonNode node = value(key);
    return node == null ? Optional.empty() : Optional.of(asObject(node, path(key)));
  }

  /**
   * Returns a list of strings, empty if absent.
   *
   * @throws CniException code 7 if the value is not a list of strings
   */
  public List<String> texts(String key) throws CniException {
    requireNonNull(key, "key");
    return list(key, ConfigObject::asText);
  }

  /**
   * Returns a list of strings, each converted by a parser as for {@link #parsed}; empty if absent.
   *
   * @throws CniException code 7 if the value is not a list of strings or the parser rejects one
   */
  public <T> List<T> parsedList(String key, Function<String, T> parser) throws CniException {
    requireNonNull(key, "key");
    requireNonNull(parser, "parser");
    return list(key, (node, elementPath) -> parse(elementPath, asText(node, elementPath), parser));
  }

  /**
   * Returns a list of objects, empty if absent.
   *
   * @throws CniException code 7 if the value is not a list of objects
   */
  public List<ConfigObject> objects(String key) throws CniException {
    requireNonNull(key, "key");
    return list(key, this::asObject);
  }

  /**
   * Returns a list of lists of objects, none of them empty; empty if absent.
   *
   * @throws CniException code 7 if the value is not a list of non-empty lists of objects
   */
  public List<List<ConfigObject>> objectLists(String key) throws CniException {
    requireNonNull(key, "key");
    List<List<ConfigObject>> lists = new ArrayList<>(list(key, this::asObjects));
    lists.removeIf(List::isEmpty); // all elements are hidden
    return lists;
  }

  private List<ConfigObject> asObjects(JsonNode node, String listPath) throws CniException {
    ArrayNode array = asArray(node, listPath);
    if (array.isEmpty()) {
      throw ConfigErrors.invalid(listPath, node, "is empty: give it at least one element");
    }
    return elements(array, listPath, this::asObject);
  }

  /**
   * Requires that no key appears more than once. For objects whose values are not read by key.
   *
   * @throws CniException code 7 if one does
   */
  public void requireDistinctKeys() throws CniException {
    Set<String> repeated = repeatedKeys();
    if (!repeated.isEmpty()) {
      throw ConfigErrors.repeated(path(repeated.iterator().next()));
    }
  }

  /** Returns the keys that the object's text has more than once. */
  public Set<String> repeatedKeys() {
    return Collections.unmodifiableSet(RepeatedKeysNode.of(json));
  }

  /** Returns the keys whose values are not null, in the order of the configuration. */
  public List<String> keys() {
    return json.properties().stream()
        .filter(entry -> !entry.getValue().isNull())
        .map(Map.Entry::getKey)
        .toList();
  }

  /**
   * Returns the error (code 7) for a missing or invalid value.
   *
   * @param why continues the sentence that begins with the key and the value, if it has one
   */
  public CniException invalid(String key, String why) {
    requireNonNull(key, "key");
    requireNonNull(why, "why");
    return ConfigErrors.invalid(path(key), node(key), why);
  }

  /**
   * Returns the error (code 2) for a key that is not supported.
   *
   * @param why continues the sentence that begins with the key and the value
   */
  public CniException unsupported(String key, String why) {
    requireNonNull(key, "key");
    requireNonNull(why, "why");
    return ConfigErrors.unsupported(path(key), node(key), why);
  }

  /**
   * Reports a value that is accepted but probably wrong. Only validation shows it; at any other
   * time this method does nothing.
   *
   * @param why continues the sentence that begins with the key and the value
   */
  public void warn(String key, String why) {
    requireNonNull(key, "key");
    requireNonNull(why, "why");
  }

  /**
   * Declares keys that other programs write and this reader ignores on purpose: validation does not
   * report them as unknown. At any other time this method does nothing.
   */
  public void ignore(String... keys) {
    NullChecks.requireElements(keys, "keys");
  }

  /** Returns the value of a key that must not be repeated; null if it is absent. */
  @Nullable JsonNode value(String key) throws CniException {
    if (RepeatedKeysNode.repeats(json, key)) {
      throw ConfigErrors.repeated(path(key));
    }
    return node(key);
  }

  /** Returns the value of a key, the last one if it is repeated; null if it is absent. */
  @Nullable JsonNode node(String key) {
    JsonNode node = json.get(key);
    if (node == null) {
      for (Map.Entry<String, JsonNode> entry : json.properties()) {
        if (entry.getKey().equalsIgnoreCase(key)) {
          node = entry.getValue();
        }
      }
    }
    return node == null || node.isNull() ? null : node;
  }

  private <T> List<T> list(String key, ElementReader<T> reader) throws CniException {
    JsonNode node = value(key);
    return node == null ? List.of() : elements(asArray(node, path(key)), path(key), reader);
  }

  private <T> List<T> elements(ArrayNode array, String arrayPath, ElementReader<T> reader)
      throws CniException {
    List<T> values = new ArrayList<>(array.size());
    for (int i = 0; i < array.size(); i++) {
      String elementPath = arrayPath + "[" + i + "]";
      if (!isHidden(elementPath)) {
        values.add(reader.read(array.get(i), elementPath));
      }
    }
    return values;
  }

  /** Whether an element is to be skipped. */
  boolean isHidden(String elementPath) {
    return false;
  }

  /** Returns a view of an object inside this one. */
  ConfigObject nested(ObjectNode object, String objectPath) {
    return new ConfigObject(object, objectPath);
  }

  private static ArrayNode asArray(JsonNode node, String path) throws CniException {
    if (node instanceof ArrayNode array) {
      return array;
    }
    throw ConfigErrors.wrongType(path, node, "a list");
  }

  private ConfigObject asObject(JsonNode node, String objectPath) throws CniException {
    if (node instanceof ObjectNode object) {
      return nested(object, objectPath);
    }
    throw ConfigErrors.wrongType(objectPath, node, "an object");
  }

  private static String asText(JsonNode node, String path) throws CniException {
    if (!node.isString()) {
      throw ConfigErrors.wrongType(path, node, "a string");
    }
    return node.stringValue();
  }

  private static <T> T parse(String path, String text, Function<String, T> parser)
      throws CniException {
    try {
      return parser.apply(text);
    } catch (IllegalArgumentException e) {
      throw ConfigErrors.unparsable(path, text, e);
    }
  }

  private interface ElementReader<T> {
    T read(JsonNode node, String path) throws CniException;
  }
}
