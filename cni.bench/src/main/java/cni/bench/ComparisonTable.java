// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** A table that the comparison prints: Markdown with aligned columns. */
final class ComparisonTable {
  private static final List<String> RATIO_COLUMNS = List.of("ratio", "target", "");

  private final int width;
  private final List<List<String>> lines = new ArrayList<>();

  /**
   * Creates a table without rows.
   *
   * @param columns the titles of the columns of values, which follow that of the labels
   */
  ComparisonTable(String... columns) {
    width = columns.length;
    addLine("", List.of(columns), RATIO_COLUMNS);
  }

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
    List<String> values = List.of(modules, executables.orElse(""), baseline.orElse(""));
    addRow(label, values, ratio, value, goal);
  }

  /** Adds a row without a goal. */
  void addRow(String label, String modules, Optional<String> executables) {
    addRow(label, List.of(modules, executables.orElse("")));
  }

  /**
   * Adds a row with a ratio and its goal.
   *
   * @param values those of the first columns
   */
  void addRow(String label, List<String> values, String ratio, double value, Goal goal) {
    String verdict = goal.isMetBy(value) ? "met" : "MISSED";
    addLine(label, values, List.of(ratio + " " + number(value), goal.toString(), verdict));
  }

  /** Adds a row with a ratio and its goal, or without both if the value could not be measured. */
  void addRow(String label, List<String> values, String ratio, Optional<Double> value, Goal goal) {
    value.ifPresentOrElse(
        it -> addRow(label, values, ratio, it, goal), () -> addRow(label, values));
  }

  /** Adds a row with a ratio that has no goal. */
  void addRow(String label, List<String> values, String ratio, double value) {
    addLine(label, values, List.of(ratio + " " + number(value)));
  }

  /** Adds a row without a ratio. */
  void addRow(String label, List<String> values) {
    addLine(label, values, List.of());
  }

  private void addLine(String label, List<String> values, List<String> ratio) {
    List<String> line = new ArrayList<>(List.of(label));
    line.addAll(values);
    line.addAll(Collections.nCopies(width - values.size(), ""));
    line.addAll(ratio);
    line.addAll(Collections.nCopies(RATIO_COLUMNS.size() - ratio.size(), ""));
    lines.add(line);
  }

  static String millis(double value) {
    return number(value) + " ms";
  }

  /** Returns the duration, or nothing if it could not be measured. */
  static String millis(Optional<Double> value) {
    return value.map(ComparisonTable::millis).orElse("");
  }

  static String number(double value) {
    String format = value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f";
    return String.format(Locale.ROOT, format, value);
  }

  @Override
  public String toString() {
    int[] widths = new int[lines.getFirst().size()];
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
