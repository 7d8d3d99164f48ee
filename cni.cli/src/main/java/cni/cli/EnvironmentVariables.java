// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The environment of the command, which is that of its caller. As for cnitool, a variable set to
 * the empty string counts as not set.
 */
final class EnvironmentVariables {
  private EnvironmentVariables() {}

  static Optional<String> get(String name) {
    Optional<Invocation> invocation = Invocation.current();
    @Nullable String value =
        invocation.isPresent() ? invocation.get().environment().get(name) : System.getenv(name);
    return value == null || value.isEmpty() ? Optional.empty() : Optional.of(value);
  }
}
