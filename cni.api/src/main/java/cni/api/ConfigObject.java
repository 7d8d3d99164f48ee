package cni.api;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A typed view of a JSON object that knows where it stands in the configuration, so that an error
 * names the key by its whole path: {@code ipam.ranges[0][1].subnet}. As for Go programs, a key with
 * the value null counts as absent, and where no key is written just so, one that differs in case is
 * taken.
 */
public final class ConfigObject {
  private static final long MAX_UNSIGNED = 0xffff_ffffL;

  private final ObjectNode json;
  private final String path;

  /**
   * A view of {@code json}.
   *
   * @param path where the object stands, or the empty string for the whole configuration
   */
  public ConfigObject(ObjectNode json, String path) {
    this.json = json;
    this.path = path;
  }

  /** The tree itself, not a copy: do not change it. */
  public ObjectNode json() {
    return json;
  }

  /** The key's path from the top of the configuration. */
  public String path(String key) {
    return path.isEmpty() ? key : path + "." + key;
  }

  /** Whether the key is there with a value. */
  public boolean has(String key) {
    return node(key) != null;
  }

  /**
   * A string.
   *
   * @throws CniException code 7 if the value is something else
   */
  public Optional<String> text(String key) throws CniException {
    JsonNode node = node(key);
    if (node == null) {
      return Optional.empty();
    }
    if (!node.isString()) {
      throw wrongKind(path(key), node, "a string");
    }
    return Optional.of(node.stringValue());
  }

  /**
   * A string that is not empty: the empty one counts as absent, as for Go programs.
   *
   * @throws CniException code 7 if the value is something else
   */
  public Optional<String> nonEmpty(String key) throws CniException {
    return text(key).filter(value -> !value.isEmpty());
  }

  /**
   * A string of some further syntax, read by {@code parser}.
   *
   * @param parser throws IllegalArgumentException with a message that goes on from the value: "is
   *     not an IP address"
   * @throws CniException code 7 if the value is not a string or the parser does not take it
   */
  public <T> Optional<T> parsed(String key, Function<String, T> parser) throws CniException {
    Optional<String> text = nonEmpty(key);
    return text.isEmpty()
        ? Optional.empty()
        : Optional.of(parse(path(key), text.orElseThrow(), parser));
  }

  /**
   * A boolean, false if absent.
   *
   * @throws CniException code 7 if the value is something else
   */
  public boolean bool(String key) throws CniException {
    return bool(key, false);
  }

  /**
   * A boolean, false if absent, that may be written as a string where libcni accepts that.
   *
   * @throws CniException code 7 if the value is something else
   */
  public boolean bool(String key, boolean orString) throws CniException {
    JsonNode node = node(key);
    if (orString && node != null && node.isString()) {
      return parse(path(key), node.stringValue(), ConfigObject::parseBoolean);
    }
    if (node != null && !node.isBoolean()) {
      throw wrongKind(path(key), node, "true or false" + (orString ? "" : ", without quotes"));
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
   * A whole number within bounds.
   *
   * @throws CniException code 7 if the value is something else or outside
   */
  public OptionalInt integer(String key, int least, int greatest) throws CniException {
    OptionalLong number = longInteger(key, least, greatest);
    return number.isPresent() ? OptionalInt.of((int) number.getAsLong()) : OptionalInt.empty();
  }

  /**
   * A whole number within bounds that may be large.
   *
   * @throws CniException code 7 if the value is something else or outside
   */
  public OptionalLong longInteger(String key, long least, long greatest) throws CniException {
    JsonNode node = node(key);
    if (node == null) {
      return OptionalLong.empty();
    }
    if (!node.isIntegralNumber()) {
      throw wrongKind(path(key), node, "a whole number");
    }
    if (!node.canConvertToLong() || node.longValue() < least || node.longValue() > greatest) {
      throw invalid(key, "must be between " + least + " and " + greatest);
    }
    return OptionalLong.of(node.longValue());
  }

  /**
   * A whole number of 32 bits without sign, as the kernel has many.
   *
   * @throws CniException code 7 if the value is something else or outside
   */
  public OptionalLong uint32(String key) throws CniException {
    return longInteger(key, 0, MAX_UNSIGNED);
  }

  /**
   * An object.
   *
   * @throws CniException code 7 if the value is something else
   */
  public Optional<ConfigObject> object(String key) throws CniException {
    JsonNode node = node(key);
    return node == null ? Optional.empty() : Optional.of(asObject(node, path(key)));
  }

  /**
   * A list of strings, empty if absent.
   *
   * @throws CniException code 7 if the value is something else
   */
  public List<String> texts(String key) throws CniException {
    return list(
        key,
        (node, where) -> {
          if (!node.isString()) {
            throw wrongKind(where, node, "a string");
          }
          return node.stringValue();
        });
  }

  /**
   * A list of strings of some further syntax; see {@link #parsed}.
   *
   * @throws CniException code 7 if the value is something else
   */
  public <T> List<T> parsedList(String key, Function<String, T> parser) throws CniException {
    List<T> values = new ArrayList<>();
    for (String text : texts(key)) {
      values.add(parse(path(key) + "[" + values.size() + "]", text, parser));
    }
    return values;
  }

  /**
   * A list of objects, empty if absent.
   *
   * @throws CniException code 7 if the value is something else
   */
  public List<ConfigObject> objects(String key) throws CniException {
    return list(key, ConfigObject::asObject);
  }

  /**
   * A list of lists of objects, empty if absent.
   *
   * @throws CniException code 7 if the value is something else
   */
  public List<List<ConfigObject>> objectLists(String key) throws CniException {
    return list(
        key, (node, where) -> elements(asArray(node, where), where, ConfigObject::asObject));
  }

  /** The keys that are there with a value, in the order of the configuration. */
  public List<String> keys() {
    return json.properties().stream()
        .filter(entry -> !entry.getValue().isNull())
        .map(Map.Entry::getKey)
        .toList();
  }

  /** The error (code 7) for a value that makes no sense; {@code why} goes on from the value. */
  public CniException invalid(String key, String why) {
    return new CniException(ErrorCode.INVALID_CONFIG, describe(key) + " " + why);
  }

  /** The error (code 2) for a key that is not supported; {@code why} goes on from the value. */
  public CniException unsupported(String key, String why) {
    return new CniException(ErrorCode.UNSUPPORTED_FIELD, describe(key) + " " + why);
  }

  private String describe(String key) {
    JsonNode node = node(key);
    return path(key) + (node == null ? "" : " " + excerpt(node));
  }

  private @Nullable JsonNode node(String key) {
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
    JsonNode node = node(key);
    return node == null ? List.of() : elements(asArray(node, path(key)), path(key), reader);
  }

  private static <T> List<T> elements(ArrayNode array, String where, ElementReader<T> reader)
      throws CniException {
    List<T> values = new ArrayList<>(array.size());
    for (JsonNode element : array) {
      values.add(reader.read(element, where + "[" + values.size() + "]"));
    }
    return values;
  }

  private static ArrayNode asArray(JsonNode node, String where) throws CniException {
    if (node instanceof ArrayNode array) {
      return array;
    }
    throw wrongKind(where, node, "a list");
  }

  private static ConfigObject asObject(JsonNode node, String where) throws CniException {
    if (node instanceof ObjectNode object) {
      return new ConfigObject(object, where);
    }
    throw wrongKind(where, node, "an object");
  }

  private static <T> T parse(String where, String text, Function<String, T> parser)
      throws CniException {
    try {
      return parser.apply(text);
    } catch (IllegalArgumentException e) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG, where + " " + Json.quote(text) + " " + e.getMessage(), e);
    }
  }

  private static CniException wrongKind(String where, JsonNode node, String expected) {
    return new CniException(
        ErrorCode.INVALID_CONFIG,
        where + " must be " + expected + ", not " + kind(node) + " " + excerpt(node));
  }

  private static String excerpt(JsonNode node) {
    String text = node.toString();
    return text.length() <= 80 ? text : text.substring(0, 77) + "...";
  }

  static String kind(JsonNode node) {
    return switch (node.getNodeType()) {
      case ARRAY -> "the list";
      case OBJECT -> "the object";
      case STRING -> "the string";
      case NUMBER -> "the number";
      case BOOLEAN -> "the boolean";
      default -> "the value";
    };
  }

  private interface ElementReader<T> {
    T read(JsonNode node, String where) throws CniException;
  }
}
