// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import java.util.OptionalInt;
import tools.jackson.core.JacksonException;
import tools.jackson.core.TokenStreamLocation;

/**
 * Explains why a text is not JSON: names the usual mistakes, which a parser only meets as a
 * character that it does not expect.
 *
 * @param line the line of the mistake, from 1; absent if it is not known
 * @param reason what is wrong and what would be right, with the column
 */
record JsonSyntaxCheck(OptionalInt line, String reason) {
  private static final char BYTE_ORDER_MARK = '\uFEFF';

  /**
   * Explains an error.
   *
   * @param text the text
   * @param source the name with which the error's message begins
   * @param error the error of reading it
   */
  static JsonSyntaxCheck of(String text, String source, CniException error) {
    if (!text.isEmpty() && text.charAt(0) == BYTE_ORDER_MARK) {
      return new JsonSyntaxCheck(
          OptionalInt.of(1), "begins with a byte order mark: save it as UTF-8 without one");
    }
    if (!(error.getCause() instanceof JacksonException cause) || cause.getLocation() == null) {
      return new JsonSyntaxCheck(OptionalInt.empty(), detail(source, error));
    }
    TokenStreamLocation at = cause.getLocation();
    int offset = Math.clamp(at.getCharOffset(), 0, text.length());
    String why = explain(text, offset, detail(source, error));
    return new JsonSyntaxCheck(
        OptionalInt.of(at.getLineNr()), "is not valid JSON at column " + at.getColumnNr() + why);
  }

  /** Returns the words of the parser, without the source and the place. */
  private static String detail(String source, CniException error) {
    String message = error.getMessage();
    int end = message.indexOf("): ");
    return end < 0 ? message.substring(source.length()).strip() : message.substring(end + 3);
  }

  private static String explain(String text, int offset, String detail) {
    String before = text.substring(0, offset).stripTrailing();
    String after = text.substring(offset).stripLeading();
    if (after.isEmpty()) {
      return unclosed(before);
    }
    if (detail.equals("there is text after its end")) {
      return ", where text follows the end of the object: remove it";
    }
    char found = after.charAt(0);
    char previous = before.isEmpty() ? ' ' : before.charAt(before.length() - 1);
    if (after.startsWith("//") || after.startsWith("/*") || found == '#') {
      return ", which has a comment: JSON has none, remove it";
    }
    if (previous == ',' && (found == '}' || found == ']')) {
      return ", where a comma is followed by '" + found + "': remove the comma";
    }
    if (found == '\'' || previous == '\'') {
      return ", which has a single quote: write strings in double quotes";
    }
    if (endsValue(previous) && (found == '"' || found == '{' || found == '[')) {
      return ", where a comma is missing: add one between the values";
    }
    return ": " + detail;
  }

  private static boolean endsValue(char c) {
    return c == '"' || c == '}' || c == ']' || Character.isLetterOrDigit(c);
  }

  /** Counts what is open at the end of a text that is cut off. */
  private static String unclosed(String text) {
    var open = new StringBuilder();
    boolean inString = false;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (inString) {
        if (c == '\\') {
          i++;
        } else if (c == '"') {
          inString = false;
        }
      } else if (c == '"') {
        inString = true;
      } else if (c == '{' || c == '[') {
        open.append(c == '{' ? '}' : ']');
      } else if ((c == '}' || c == ']') && !open.isEmpty()) {
        open.setLength(open.length() - 1);
      }
    }
    String missing = (inString ? "\"" : "") + open.reverse();
    return ", where it ends too early: it lacks " + missing;
  }
}
