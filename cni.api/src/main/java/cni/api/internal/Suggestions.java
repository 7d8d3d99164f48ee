// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import java.util.Collection;
import java.util.Optional;
import java.util.function.UnaryOperator;

/** The part of a message about a misspelt name that says which known name is probably meant. */
public final class Suggestions {
  private Suggestions() {}

  /**
   * Returns {@code did you mean NAME?} with the known name nearest to the given one.
   *
   * @return empty if none is near, see {@link NearestName#of}
   */
  public static Optional<String> didYouMean(String given, Collection<String> known) {
    return didYouMean(given, known, UnaryOperator.identity());
  }

  /**
   * Returns {@code did you mean NAME?} with the known name nearest to the given one.
   *
   * @param form returns a name as the message has it, such as in quotation marks
   * @return empty if none is near, see {@link NearestName#of}
   */
  public static Optional<String> didYouMean(
      String given, Collection<String> known, UnaryOperator<String> form) {
    return NearestName.of(given, known).map(it -> "did you mean " + form.apply(it) + "?");
  }

  /** Returns {@code did you mean NAME?}, or all known names if none is near. */
  public static String of(String given, Collection<String> known) {
    return didYouMean(given, known).orElseGet(() -> "known are " + String.join(", ", known));
  }
}
