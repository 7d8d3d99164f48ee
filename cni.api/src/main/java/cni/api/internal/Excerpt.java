// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import java.io.Writer;

/**
 * The bounds of what a message quotes of a value. Values come from configurations, executables and
 * files of any size, and messages end up in events, logs and terminals.
 */
public final class Excerpt {
  /** The maximum length of a quoted value, in characters (code points). */
  public static final int MAX_LENGTH = 200;

  /**
   * The maximum length of a whole message, in characters. A message that quotes several values, or
   * lists what is available, is longer than a value.
   */
  public static final int MAX_MESSAGE_LENGTH = 4000;

  /** The maximum length of the details of an error, in characters: what an executable printed. */
  public static final int MAX_DETAILS_LENGTH = 16_000;

  private Excerpt() {}

  /** Returns the text, cut after {@link #MAX_LENGTH} characters and with its length if longer. */
  public static String of(String text) {
    return cut(text, MAX_LENGTH) + suffix(text, MAX_LENGTH);
  }

  /** Returns the message, cut after {@link #MAX_MESSAGE_LENGTH} characters. */
  public static String ofMessage(String message) {
    return cut(message, MAX_MESSAGE_LENGTH) + suffix(message, MAX_MESSAGE_LENGTH);
  }

  /** Returns the details of an error, cut after {@link #MAX_DETAILS_LENGTH} characters. */
  public static String ofDetails(String details) {
    return cut(details, MAX_DETAILS_LENGTH) + suffix(details, MAX_DETAILS_LENGTH);
  }

  /** Returns what {@link #of} keeps of the text. */
  public static String cut(String text) {
    return cut(text, MAX_LENGTH);
  }

  /**
   * Returns what {@link #of} appends to the text: the empty string if it is short enough, otherwise
   * an ellipsis and the number of characters.
   */
  public static String suffix(String text) {
    return suffix(text, MAX_LENGTH);
  }

  private static String cut(String text, int max) {
    return isShort(text, max) ? text : text.substring(0, text.offsetByCodePoints(0, max));
  }

  private static String suffix(String text, int max) {
    return isShort(text, max) ? "" : suffix(text.codePointCount(0, text.length()));
  }

  private static String suffix(long length) {
    return "… (" + length + " characters)";
  }

  private static boolean isShort(String text, int max) {
    return text.length() <= max || text.codePointCount(0, text.length()) <= max;
  }

  /**
   * A writer that keeps only an excerpt of what is written, so that the text of a large value is
   * never in memory as a whole.
   */
  public static final class Collector extends Writer {
    private final StringBuilder kept = new StringBuilder();
    private long length;

    /** Creates a collector. */
    public Collector() {}

    @Override
    public void write(char[] characters, int offset, int count) {
      length += count;
      // One more than a cut text can have, so that a surrogate pair at the end is complete.
      int room = 2 * MAX_LENGTH + 1 - kept.length();
      kept.append(characters, offset, Math.min(count, room));
    }

    @Override
    public void flush() {
      // nothing is buffered
    }

    @Override
    public void close() {
      // nothing is open
    }

    /** Returns the excerpt. */
    @Override
    public String toString() {
      return length == kept.length()
          ? of(kept.toString())
          : Excerpt.cut(kept.toString(), MAX_LENGTH) + Excerpt.suffix(length);
    }
  }
}
