package cni.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** The table that the comparison prints: Markdown with aligned columns. */
final class ComparisonTable {
  private static final List<String> HEADER =
      List.of("", "modules", "Go executables", "floor", "ratio", "target", "");

  private final List<List<String>> rows = new ArrayList<>();

  /**
   * The bound that a ratio should keep.
   *
   * @param minimum whether the number is a lower bound; otherwise it is an upper one
   */
  record Goal(boolean minimum, double number) {
    static Goal atLeast(double number) {
      return new Goal(true, number);
    }

    static Goal atMost(double number) {
      return new Goal(false, number);
    }

    boolean isMetBy(double value) {
      return minimum ? value >= number : value <= number;
    }

    @Override
    public String toString() {
      return (minimum ? ">= " : "<= ") + ComparisonTable.number(number);
    }
  }

  /**
   * Adds a row that compares two of the columns.
   *
   * @param ratio the name of the compared value, such as {@code Go / modules}
   * @param value the compared value
   */
  void addRow(
      String label,
      String modules,
      Optional<String> executables,
      Optional<String> baseline,
      String ratio,
      double value,
      Goal goal) {
    rows.add(
        List.of(
            label,
            modules,
            executables.orElse(""),
            baseline.orElse(""),
            ratio + " " + number(value),
            goal.toString(),
            goal.isMetBy(value) ? "met" : "MISSED"));
  }

  /** Adds a row without a goal. */
  void addRow(String label, String modules, Optional<String> executables) {
    rows.add(List.of(label, modules, executables.orElse(""), "", "", "", ""));
  }

  static String millis(double value) {
    return number(value) + " ms";
  }

  static String number(double value) {
    String format = value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f";
    return String.format(Locale.ROOT, format, value);
  }

  @Override
  public String toString() {
    List<List<String>> lines = new ArrayList<>(List.of(HEADER));
    lines.addAll(rows);
    int[] widths = new int[HEADER.size()];
    for (List<String> line : lines) {
      for (int i = 0; i < widths.length; i++) {
        widths[i] = Math.max(widths[i], line.get(i).length());
      }
    }
    var text = new StringBuilder();
    for (int i = 0; i < lines.size(); i++) {
      append(text, lines.get(i), widths);
      if (i == 0) {
        for (int width : widths) {
          text.append('|').append("-".repeat(width + 2));
        }
        text.append("|\n");
      }
    }
    return text.toString();
  }

  private static void append(StringBuilder text, List<String> line, int[] widths) {
    for (int i = 0; i < widths.length; i++) {
      text.append("| ")
          .append(line.get(i))
          .append(" ".repeat(widths[i] - line.get(i).length() + 1));
    }
    text.append("|\n");
  }
}
