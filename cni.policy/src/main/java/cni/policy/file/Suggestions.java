package cni.policy.file;

import cni.api.internal.NearestName;
import java.util.Collection;

/** The end of messages about a misspelt word. */
public final class Suggestions {
  private Suggestions() {}

  /**
   * Returns the end of a message that names the known word nearest to the given one, or else all
   * known words.
   */
  public static String of(String word, Collection<String> known) {
    return NearestName.of(word, known)
        .map(it -> "did you mean " + it + "?")
        .orElse("known are " + String.join(", ", known));
  }
}
