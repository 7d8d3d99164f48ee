// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.plugins.etcd.client.KeyValue;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.function.Function;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The value of a key in etcd, a JSON object.
 *
 * @param key the key, for messages
 * @param json the object
 */
record StoredValue(String key, ObjectNode json) {
  /**
   * Parses a value.
   *
   * @throws CniException code 6 if it is no JSON object
   */
  static StoredValue parse(KeyValue stored) throws CniException {
    String key = stored.key();
    try {
      return new StoredValue(key, Json.parse(stored.value(), "the value of " + key + " in etcd"));
    } catch (CniException e) {
      throw new CniException(ErrorCode.DECODING_FAILURE, e.getMessage() + remedy(key), e);
    }
  }

  private static String remedy(String key) {
    return "; the plugin does not write such values: look at it with \"etcdctl get %s\", and correct"
            .formatted(key)
        + " it, or delete the key, which loses the reservations or settings that it records";
  }

  /** Returns an object as the text of a value. */
  static String text(ObjectNode json) {
    return new String(Json.bytes(json), StandardCharsets.UTF_8);
  }

  /** Returns a member that is text; the empty string if it is absent. */
  String text(String name) {
    return json.path(name).asString("");
  }

  /**
   * Returns a member that is text, converted.
   *
   * @param parser throws IllegalArgumentException
   * @throws CniException code 6 if it cannot be converted
   */
  <T> T parsed(String name, Function<String, T> parser) throws CniException {
    try {
      return parser.apply(text(name));
    } catch (IllegalArgumentException e) {
      throw invalid(name, e);
    }
  }

  /**
   * Returns a member that is a time.
   *
   * @throws CniException code 6 if it is something else
   */
  Instant time(String name) throws CniException {
    return parsed(name, StoredValue::parseTime);
  }

  private static Instant parseTime(String text) {
    try {
      return Instant.parse(text);
    } catch (DateTimeParseException e) {
      throw new IllegalArgumentException("must be a time such as 2026-01-31T12:00:00Z", e);
    }
  }

  /**
   * Returns a member that is a whole number; 0 if it is absent.
   *
   * @throws CniException code 6 if it is something else, or not between {@code min} and {@code max}
   */
  int integer(String name, int min, int max) throws CniException {
    JsonNode member = json.path(name);
    boolean isInt =
        member.isMissingNode() || (member.isIntegralNumber() && member.canConvertToInt());
    int number = isInt ? member.asInt(0) : min - 1;
    if (number < min || number > max) {
      throw invalid(
          name, new IllegalArgumentException("must be between %d and %d".formatted(min, max)));
    }
    return number;
  }

  /** Returns the error (code 6) for an invalid member. */
  CniException invalid(String name, Throwable cause) {
    return new CniException(
        ErrorCode.DECODING_FAILURE,
        "%s of %s in etcd is invalid: %s".formatted(name, key, cause.getMessage()) + remedy(key),
        cause);
  }
}
