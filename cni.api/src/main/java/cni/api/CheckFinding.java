// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.io.Serializable;
import java.util.Optional;

/**
 * One difference between an attachment and its desired state, as CHECK reports it.
 *
 * @param plugin the type of the plugin that found it
 * @param kind what it concerns
 * @param text what differs: {@code interface eth0 in the container is down, expected up}
 * @param cause the text of the finding that this one follows from, or the empty string: the kernel
 *     removes the routes of an interface that is set down
 * @param isRepairable whether a repair removes it without deleting the attachment
 */
public record CheckFinding(
    String plugin, Differences.Kind kind, String text, String cause, boolean isRepairable)
    implements Serializable {
  /** Checks that no argument is null. */
  public CheckFinding {
    requireNonNull(plugin, "plugin");
    requireNonNull(kind, "kind");
    requireNonNull(text, "text");
    requireNonNull(cause, "cause");
  }

  /** Creates the finding for a difference. */
  static CheckFinding of(String plugin, Differences.Difference difference) {
    return new CheckFinding(
        plugin,
        difference.kind(),
        difference.finding(),
        difference.cause().orElse(""),
        difference.change().isPresent());
  }

  /** Returns the text of the finding that this one follows from, if it does. */
  public Optional<String> followsFrom() {
    return cause.isEmpty() ? Optional.empty() : Optional.of(cause);
  }

  /** Returns the finding in one line: {@code bridge: the route … is missing (follows from: …)}. */
  public String describe() {
    String consequence = cause.isEmpty() ? "" : " (follows from: " + cause + ")";
    return plugin + ": " + text + consequence;
  }
}
