// SPDX-License-Identifier: Apache-2.0
package cni.api;

import cni.api.internal.Excerpt;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * The errors for keys of a configuration, and the choice of their codes (SPEC section 5, "Error"):
 * {@link ErrorCode#UNSUPPORTED_FIELD} (2) for a key, or a value of it, that is legal for other
 * implementations of the plugin but not supported by this one; {@link ErrorCode#INVALID_CONFIG} (7)
 * for everything else that is missing, malformed or contradictory.
 *
 * <p>Messages begin with the full path of the key and its value.
 */
final class ConfigErrors {
  private ConfigErrors() {}

  /** Returns the error for a missing or invalid value; {@code why} continues the sentence. */
  static CniException invalid(String path, @Nullable JsonNode value, String why) {
    return new CniException(ErrorCode.INVALID_CONFIG, describe(path, value) + " " + why)
        .withFault(ConfigFault.of(path, value, why));
  }

  /** Returns the error for an unsupported key or value; {@code why} continues the sentence. */
  static CniException unsupported(String path, @Nullable JsonNode value, String why) {
    return new CniException(ErrorCode.UNSUPPORTED_FIELD, describe(path, value) + " " + why)
        .withFault(ConfigFault.of(path, value, why));
  }

  /** Returns the error for a string that a parser rejected with a message that continues it. */
  static CniException unparsable(String path, String text, IllegalArgumentException cause) {
    String why = String.valueOf(cause.getMessage());
    return new CniException(
            ErrorCode.INVALID_CONFIG, Excerpt.of(path) + " " + Json.quote(text) + " " + why, cause)
        .withFault(new ConfigFault(path, Json.quote(text), why));
  }

  /** Returns the error for a key that the text of an object has more than once. */
  static CniException repeated(String path) {
    String why = "appears more than once in the same object: keep one of them";
    return new CniException(ErrorCode.INVALID_CONFIG, Excerpt.of(path) + " " + why)
        .withFault(new ConfigFault(path, "", why));
  }

  /**
   * Returns the error of several values: the first, with the messages of all and the others as
   * suppressed exceptions.
   *
   * @param errors at least one
   */
  static CniException combined(List<CniException> errors) {
    CniException first = errors.getFirst();
    if (errors.size() == 1) {
      return first;
    }
    String all = errors.stream().map(CniException::getMessage).collect(Collectors.joining("; "));
    var combined = new CniException(ErrorCode.INVALID_CONFIG, all, first);
    errors.stream().skip(1).forEach(combined::addSuppressed);
    return first.fault().isEmpty() ? combined : combined.withFault(first.fault().get());
  }

  /** Returns the error for a value of the wrong JSON type. */
  static CniException wrongType(String path, JsonNode value, String expected) {
    String actual = value.isNull() ? "null" : "the " + type(value) + " " + Json.excerpt(value);
    return new CniException(
            ErrorCode.INVALID_CONFIG, Excerpt.of(path) + " must be " + expected + ", not " + actual)
        .withFault(ConfigFault.of(path, value, "must be " + expected + contrast(value, expected)));
  }

  /** Returns the type that a value has, unless the expected one is a kind of it. */
  private static String contrast(JsonNode value, String expected) {
    return expected.endsWith(type(value)) ? "" : ", not " + typeWithArticle(value);
  }

  /** Returns the JSON type of a value, such as "a list". */
  static String typeWithArticle(JsonNode value) {
    return value.isNull() ? "null" : (value.isObject() ? "an " : "a ") + type(value);
  }

  private static String type(JsonNode value) {
    return switch (value.getNodeType()) {
      case ARRAY -> "list";
      case OBJECT -> "object";
      case STRING -> "string";
      case NUMBER -> "number";
      case BOOLEAN -> "boolean";
      default -> "value";
    };
  }

  private static String describe(String path, @Nullable JsonNode value) {
    String key = Excerpt.of(path);
    return value == null ? key : key + " " + Json.excerpt(value);
  }
}
