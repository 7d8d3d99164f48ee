// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The generic arguments of an attachment. Their text form is CNI_ARGS: {@code KEY=VALUE} pairs
 * separated by semicolons (SPEC section 2).
 *
 * <p>Text of another form is refused where a plugin reads its arguments, and passed on unchanged to
 * executables: most plugins read none, and the Go plugins ignore what they do not read.
 */
public final class CniArgs {
  /** No arguments. */
  public static final CniArgs NONE = of(Map.of());

  private final Map<String, String> pairs;
  private final @Nullable String text;
  private final @Nullable String malformedPair;

  private CniArgs(
      Map<String, String> pairs, @Nullable String text, @Nullable String malformedPair) {
    this.pairs = Collections.unmodifiableMap(pairs);
    this.text = text;
    this.malformedPair = malformedPair;
  }

  /** Returns the arguments with the given keys and values, in the order of the map. */
  public static CniArgs of(Map<String, String> pairs) {
    requireNonNull(pairs, "pairs");
    return new CniArgs(new LinkedHashMap<>(pairs), null, null);
  }

  /**
   * Returns the arguments with the given text form, which need not be well formed. Empty pairs are
   * skipped; of equal keys the last is used.
   */
  public static CniArgs ofText(String text) {
    requireNonNull(text, "text");
    Map<String, String> pairs = new LinkedHashMap<>();
    String malformed = null;
    for (String pair : text.split(";", -1)) {
      int equals = pair.indexOf('=');
      if (equals > 0) {
        pairs.put(pair.substring(0, equals), pair.substring(equals + 1));
      } else if (!pair.isEmpty() && malformed == null) {
        malformed = pair;
      }
    }
    return new CniArgs(pairs, text, malformed);
  }

  /** Returns whether there are no arguments. */
  public boolean isEmpty() {
    return pairs.isEmpty() && malformedPair == null;
  }

  /**
   * Returns the value of a key.
   *
   * @throws CniException code 4 if the text form was given and is malformed
   */
  public Optional<String> get(String key) throws CniException {
    requireNonNull(key, "key");
    return Optional.ofNullable(toMap().get(key));
  }

  /**
   * Returns the values by key, in order.
   *
   * @throws CniException code 4 if the text form was given and is malformed
   */
  public Map<String, String> toMap() throws CniException {
    if (malformedPair != null) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "CNI_ARGS: "
              + Json.quote(malformedPair)
              + " must be of the form KEY=VALUE, with ';' between pairs");
    }
    return pairs;
  }

  /**
   * Returns the text form: the one that was given, or one made of the pairs.
   *
   * @throws CniException code 4 if a key or value contains a character that would change the pairs
   */
  public String text() throws CniException {
    if (text != null) {
      return text;
    }
    for (Map.Entry<String, String> entry : pairs.entrySet()) {
      requireFormattable(entry.getKey(), entry.getValue());
    }
    return pairs.entrySet().stream()
        .map(entry -> entry.getKey() + "=" + entry.getValue())
        .collect(Collectors.joining(";"));
  }

  private static void requireFormattable(String key, String value) throws CniException {
    if (key.isEmpty() || key.indexOf('=') >= 0 || (key + value).matches("(?s).*[;\0].*")) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "CNI_ARGS: key "
              + Json.quote(key)
              + " and value "
              + Json.quote(value)
              + " must not contain ';', and the key must not contain '='");
    }
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof CniArgs it
        && pairs.equals(it.pairs)
        && Objects.equals(malformedPair, it.malformedPair);
  }

  @Override
  public int hashCode() {
    return pairs.hashCode();
  }

  /** Returns the text that was given, or the pairs, for debugging. */
  @Override
  public String toString() {
    return text == null ? pairs.toString() : text;
  }
}
