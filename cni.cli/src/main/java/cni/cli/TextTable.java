// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Function;

/**
 * Rows of text, printed in aligned columns. On a terminal that is too narrow, the widest columns
 * are shortened, and cells may have colours; in pipes and files neither happens.
 */
final class TextTable {
  private static final String GAP = "  ";
  private static final String ELLIPSIS = "…";

  /** No column is shortened further. */
  private static final int MIN_COLUMN_WIDTH = 12;

  private final List<String[]> rows = new ArrayList<>();
  private final Map<Integer, Function<String, Optional<Terminal.Style>>> styles = new HashMap<>();
  private final BitSet rightAligned = new BitSet();

  /** Adds a row. Rows may differ in their number of cells. */
  void row(String... cells) {
    rows.add(cells.clone());
  }

  /** Aligns a range of columns on the right, as numbers are; the last one is included. */
  void alignRight(int first, int last) {
    rightAligned.set(first, last + 1);
  }

  /** Sets the colours of a column, counted from 0, by the text of its cells. */
  void colours(int column, Function<String, Optional<Terminal.Style>> style) {
    styles.put(column, style);
  }

  /** Prints to standard output, at the width and with the colours of its terminal. */
  void print(PrintStream out) {
    boolean coloured = !styles.isEmpty() && Terminal.hasColours(Terminal.Stream.OUTPUT);
    print(out, Terminal.width(Terminal.Stream.OUTPUT), coloured);
  }

  /**
   * Prints at a width.
   *
   * @param limit in columns; absent for lines of any length
   * @param coloured whether cells have the colours of their columns
   */
  void print(PrintStream out, OptionalInt limit, boolean coloured) {
    lines(limit, coloured).forEach(out::println);
  }

  /** Returns the rows as lines of any length, without colours. */
  List<String> lines() {
    return lines(OptionalInt.empty(), false);
  }

  private List<String> lines(OptionalInt limit, boolean coloured) {
    int[] widths = widths();
    limit.ifPresent(it -> shorten(widths, it));
    List<String> lines = new ArrayList<>(rows.size());
    for (String[] row : rows) {
      var line = new StringBuilder();
      for (int i = 0; i < row.length; i++) {
        String cell = shorten(row[i], widths[i]);
        String padding = " ".repeat(widths[i] - cell.length());
        String text = coloured ? coloured(i, row[i], cell) : cell;
        line.append(rightAligned.get(i) ? padding + text : text + padding).append(GAP);
      }
      lines.add(line.toString().stripTrailing());
    }
    return lines;
  }

  private String coloured(int column, String text, String shown) {
    return styles
        .getOrDefault(column, _ -> Optional.empty())
        .apply(text)
        .map(style -> Terminal.coloured(shown, style))
        .orElse(shown);
  }

  private int[] widths() {
    int[] widths = new int[rows.stream().mapToInt(row -> row.length).max().orElse(0)];
    for (String[] row : rows) {
      for (int i = 0; i < row.length; i++) {
        widths[i] = Math.max(widths[i], row[i].length());
      }
    }
    return widths;
  }

  /** Takes from the widest column what exceeds the limit, then from the next one. */
  private static void shorten(int[] widths, int limit) {
    int excess = -limit - GAP.length();
    for (int width : widths) {
      excess += width + GAP.length();
    }
    while (excess > 0) {
      int widest = 0;
      for (int i = 1; i < widths.length; i++) {
        widest = widths[i] > widths[widest] ? i : widest;
      }
      int taken = Math.min(excess, widths[widest] - MIN_COLUMN_WIDTH);
      if (taken <= 0) {
        return;
      }
      widths[widest] -= taken;
      excess -= taken;
    }
  }

  private static String shorten(String cell, int width) {
    return cell.length() <= width ? cell : cell.substring(0, width - 1) + ELLIPSIS;
  }
}
