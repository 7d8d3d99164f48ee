// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.io.Serializable;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * The key of a configuration that an error is about.
 *
 * @param key its full path, such as {@code ipam.ranges[0][1].subnet}
 * @param value its value as JSON, shortened if it is long; empty if it has none
 * @param reason what is wrong and what would be right; continues the sentence that begins with the
 *     key and the value
 */
public record ConfigFault(String key, String value, String reason) implements Serializable {
  /** Checks that no argument is null. */
  public ConfigFault {
    requireNonNull(key, "key");
    requireNonNull(value, "value");
    requireNonNull(reason, "reason");
  }

  static ConfigFault of(String key, @Nullable JsonNode value, String reason) {
    return new ConfigFault(key, value == null ? "" : Json.excerpt(value), reason);
  }
}
