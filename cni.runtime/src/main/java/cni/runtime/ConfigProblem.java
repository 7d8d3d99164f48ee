// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Objects.requireNonNull;

import cni.api.Json;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import tools.jackson.databind.node.ObjectNode;

/**
 * A problem of a network configuration, found by validation.
 *
 * @param severity whether operations on the network fail
 * @param file the file; absent if the configuration is not from a file
 * @param line the line of the value, from 1; absent if the file as a whole is meant or cannot be
 *     read
 * @param key the path of the key, such as {@code plugins[0].ipam.subnet}; empty if the file as a
 *     whole is meant
 * @param value the value as JSON, shortened if it is long; empty if there is none
 * @param message what is wrong; continues the sentence that begins with the key and the value
 * @param remedy what would be right; empty if the message says it
 */
public record ConfigProblem(
    Severity severity,
    Optional<Path> file,
    OptionalInt line,
    String key,
    String value,
    String message,
    String remedy) {
  /** Checks that no argument is null. */
  public ConfigProblem {
    requireNonNull(severity, "severity");
    requireNonNull(file, "file");
    requireNonNull(line, "line");
    requireNonNull(key, "key");
    requireNonNull(value, "value");
    requireNonNull(message, "message");
    requireNonNull(remedy, "remedy");
  }

  /** The severity of a problem. */
  public enum Severity {
    /** Operations on the network fail. */
    ERROR,
    /** The configuration is used, but probably not as it was meant. */
    WARNING;

    /** Returns the word for messages: {@code error} or {@code warning}. */
    public String label() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** Returns whether operations on the network fail. */
  public boolean isError() {
    return severity == Severity.ERROR;
  }

  /** Returns the problem without its place: {@code key value message: remedy}. */
  public String description() {
    String subject = (key.isEmpty() ? "" : key + " ") + (value.isEmpty() ? "" : value + " ");
    return subject + message + (remedy.isEmpty() ? "" : ": " + remedy);
  }

  /**
   * Returns the problem on one line, as compilers print it: {@code file:line: error: key value
   * message: remedy}.
   */
  @Override
  public String toString() {
    String place = file.map(Path::toString).orElse("");
    if (line.isPresent()) {
      place += ":" + line.getAsInt();
    }
    return (place.isEmpty() ? "" : place + ": ") + severity.label() + ": " + description();
  }

  /** Returns the problem as JSON; absent values are left out. */
  ObjectNode toJson() {
    ObjectNode json = Json.object();
    json.put("severity", severity.label());
    line.ifPresent(number -> json.put("line", number));
    putUnlessEmpty(json, "key", key);
    putUnlessEmpty(json, "value", value);
    json.put("message", message);
    putUnlessEmpty(json, "remedy", remedy);
    return json;
  }

  private static void putUnlessEmpty(ObjectNode json, String name, String text) {
    if (!text.isEmpty()) {
      json.put(name, text);
    }
  }
}
