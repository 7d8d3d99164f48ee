package cni.cli;

import java.util.Optional;

/** The variables that cnitool reads. One that is set to nothing counts as not set, as for it. */
final class EnvironmentVariables {
  private EnvironmentVariables() {}

  static Optional<String> get(String name) {
    return Optional.ofNullable(System.getenv(name)).filter(value -> !value.isEmpty());
  }
}
