// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import java.util.Collection;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Finds the known name that a misspelt one probably means, for "did you mean" in messages. Compares
 * by the Damerau-Levenshtein distance: the number of inserted, deleted, replaced and swapped
 * characters, regardless of case.
 */
public final class NearestName {
  /** A longer name is no misspelling of a known one, and comparing it would take time. */
  private static final int MAX_LENGTH = 64;

  /** The length from which a name counts as an abbreviation of one that starts with it. */
  private static final int MIN_PREFIX_LENGTH = 4;

  private NearestName() {}

  /**
   * Returns the known name nearest to the given one.
   *
   * @param known the candidates; of several that are equally near, the first is returned
   * @return empty if none differs in at most one character of up to 4, two of up to 8 or three of
   *     more, and none starts with the given name or is the start of it (with at least 4
   *     characters)
   */
  public static Optional<String> of(String given, Collection<String> known) {
    if (given.length() > MAX_LENGTH) {
      return Optional.empty();
    }
    String name = given.toLowerCase(Locale.ROOT);
    @Nullable String nearest = null;
    int least = maxEdits(name.length()) + 1;
    for (String candidate : known) {
      int edits = edits(name, candidate.toLowerCase(Locale.ROOT), least);
      if (edits < least) {
        least = edits;
        nearest = candidate;
      }
    }
    return nearest == null ? abbreviated(name, known) : Optional.of(nearest);
  }

  private static int maxEdits(int length) {
    if (length <= 4) {
      return 1;
    }
    return length <= 8 ? 2 : 3;
  }

  private static Optional<String> abbreviated(String name, Collection<String> known) {
    for (String candidate : known) {
      String other = candidate.toLowerCase(Locale.ROOT);
      boolean isPrefix = other.startsWith(name) || name.startsWith(other);
      if (isPrefix && Math.min(name.length(), other.length()) >= MIN_PREFIX_LENGTH) {
        return Optional.of(candidate);
      }
    }
    return Optional.empty();
  }

  /** Returns the distance; the limit if it is not below that, or the names share no character. */
  private static int edits(String a, String b, int limit) {
    if (Math.abs(a.length() - b.length()) >= limit) {
      return limit;
    }
    int[][] distances = new int[a.length() + 1][b.length() + 1];
    for (int i = 0; i <= a.length(); i++) {
      for (int j = 0; j <= b.length(); j++) {
        distances[i][j] = i == 0 || j == 0 ? i + j : distance(a, i, b, j, distances);
      }
    }
    int edits = distances[a.length()][b.length()];
    return edits < Math.max(a.length(), b.length()) ? Math.min(edits, limit) : limit;
  }

  /** Returns the distance of the first {@code i} characters to the first {@code j}. */
  private static int distance(String a, int i, String b, int j, int[][] distances) {
    boolean same = a.charAt(i - 1) == b.charAt(j - 1);
    int least = Math.min(distances[i - 1][j], distances[i][j - 1]) + 1;
    least = Math.min(least, distances[i - 1][j - 1] + (same ? 0 : 1));
    boolean swapped =
        i > 1 && j > 1 && a.charAt(i - 1) == b.charAt(j - 2) && a.charAt(i - 2) == b.charAt(j - 1);
    return swapped ? Math.min(least, distances[i - 2][j - 2] + 1) : least;
  }
}
