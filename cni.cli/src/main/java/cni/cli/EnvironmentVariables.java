package cni.cli;

import java.util.Optional;

/** The environment. As for cnitool, a variable set to the empty string counts as not set. */
final class EnvironmentVariables {
  private EnvironmentVariables() {}

  static Optional<String> get(String name) {
    return Optional.ofNullable(System.getenv(name)).filter(value -> !value.isEmpty());
  }
}
