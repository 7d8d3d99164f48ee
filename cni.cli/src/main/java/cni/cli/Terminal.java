// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.netlink.ffm.process.WindowSize;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The terminal that a standard stream of this process is connected to: whether there is one, how
 * wide it is, and whether it shows colours. A command that runs for another process has none.
 */
final class Terminal {
  private static final int MIN_WIDTH = 40;
  private static final String ESCAPE = "\u001b[";
  private static final String RESET = ESCAPE + "0m";

  private Terminal() {}

  /** The standard streams. */
  enum Stream {
    INPUT(0),
    OUTPUT(1),
    ERROR(2);

    private final int descriptor;

    Stream(int descriptor) {
      this.descriptor = descriptor;
    }
  }

  /** Colours of text, by what they mean to the reader. */
  enum Style {
    GOOD("32"),
    WARNING("33"),
    BAD("31");

    private final String code;

    Style(String code) {
      this.code = code;
    }
  }

  /** Returns whether a stream is a terminal. */
  static boolean isTerminal(Stream stream) {
    if (Invocation.current().isPresent()) {
      return false;
    }
    try {
      String target =
          Files.readSymbolicLink(Path.of("/proc/self/fd", String.valueOf(stream.descriptor)))
              .toString();
      return target.startsWith("/dev/pts/")
          || target.startsWith("/dev/tty")
          || target.equals("/dev/console");
    } catch (IOException e) {
      return false;
    }
  }

  /**
   * Returns whether a stream shows colours: it is a terminal, and neither NO_COLOR
   * (https://no-color.org) nor TERM=dumb says otherwise.
   */
  static boolean hasColours(Stream stream) {
    return EnvironmentVariables.get("NO_COLOR").isEmpty()
        && !EnvironmentVariables.get("TERM").orElse("dumb").equals("dumb")
        && isTerminal(stream);
  }

  /**
   * Returns the width of a stream in columns, at least 40: COLUMNS, or that of the terminal's
   * window.
   *
   * @return absent if the stream is not a terminal or has no size; its lines are then not limited
   */
  static OptionalInt width(Stream stream) {
    if (!isTerminal(stream)) {
      return OptionalInt.empty();
    }
    OptionalInt given = parseColumns(EnvironmentVariables.get("COLUMNS").orElse(""));
    if (given.isPresent()) {
      return OptionalInt.of(Math.max(MIN_WIDTH, given.getAsInt()));
    }
    Optional<WindowSize> size = size(stream);
    return size.isPresent()
        ? OptionalInt.of(Math.max(MIN_WIDTH, size.get().columns()))
        : OptionalInt.empty();
  }

  /** Returns the size of a stream's window; absent if it is not a terminal or has no size. */
  static Optional<WindowSize> size(Stream stream) {
    return Invocation.current().isPresent() ? Optional.empty() : WindowSize.of(stream.descriptor);
  }

  private static OptionalInt parseColumns(String text) {
    try {
      int columns = Integer.parseInt(text);
      return columns > 0 ? OptionalInt.of(columns) : OptionalInt.empty();
    } catch (NumberFormatException e) {
      return OptionalInt.empty();
    }
  }

  /** Replaces what could control the terminal, for text that other programs have written. */
  static String printable(String text) {
    var printable = new StringBuilder(text.length());
    text.codePoints()
        .map(
            it ->
                Character.isISOControl(it) || Character.getType(it) == Character.FORMAT ? '?' : it)
        .forEach(printable::appendCodePoint);
    return printable.toString();
  }

  /** Returns text in a colour, with the escape sequences of ECMA-48. */
  static String coloured(String text, Style style) {
    return ESCAPE + style.code + "m" + text + RESET;
  }
}
