package cni.policy.file;

import java.util.Collection;
import java.util.Comparator;
import java.util.Locale;
import java.util.Optional;

/** Finds the word that was probably meant by a misspelt one. */
public final class Suggestions {
  /** Longer words are no misspelling of a known one, and comparing them takes time. */
  private static final int MAX_LENGTH = 40;

  private Suggestions() {}

  /**
   * Returns the end of a message that names the known word nearest to the given one, or else all
   * known words.
   */
  public static String of(String word, Collection<String> known) {
    return nearest(word, known)
        .map(it -> "did you mean " + it + "?")
        .orElse("known are " + String.join(", ", known));
  }

  /** Returns the known word that differs in the fewest characters, at most a third of them. */
  public static Optional<String> nearest(String word, Collection<String> known) {
    if (word.length() > MAX_LENGTH) {
      return Optional.empty();
    }
    return known.stream()
        .filter(it -> distance(word, it) <= Math.max(1, it.length() / 3))
        .min(Comparator.comparingInt(it -> distance(word, it)));
  }

  /** Returns the number of inserted, deleted, replaced and swapped characters; ignores case. */
  private static int distance(String a, String b) {
    String first = a.toLowerCase(Locale.ROOT);
    String second = b.toLowerCase(Locale.ROOT);
    int[][] costs = new int[first.length() + 1][second.length() + 1];
    for (int i = 0; i <= first.length(); i++) {
      for (int j = 0; j <= second.length(); j++) {
        costs[i][j] = i == 0 || j == 0 ? i + j : cost(first, i, second, j, costs);
      }
    }
    return costs[first.length()][second.length()];
  }

  private static int cost(String a, int i, String b, int j, int[][] costs) {
    boolean same = a.charAt(i - 1) == b.charAt(j - 1);
    int cost = Math.min(costs[i - 1][j], costs[i][j - 1]) + 1;
    cost = Math.min(cost, costs[i - 1][j - 1] + (same ? 0 : 1));
    boolean swapped =
        i > 1 && j > 1 && a.charAt(i - 1) == b.charAt(j - 2) && a.charAt(i - 2) == b.charAt(j - 1);
    return swapped ? Math.min(cost, costs[i - 2][j - 2] + 1) : cost;
  }
}
