// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import java.io.PrintStream;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The progress of a command that takes seconds: one line on standard error that is rewritten, and
 * removed at the end. Prints nothing unless standard error is a terminal, nor in continuous
 * integration (the variable CI).
 */
final class Progress implements AutoCloseable {
  private static final int DEFAULT_WIDTH = 80;

  /** Returns the cursor to the first column and clears the line (ECMA-48: EL). */
  private static final String CLEAR_LINE = "\r\u001b[K";

  private final Optional<PrintStream> output;
  private final int width;

  /**
   * Creates progress that is printed to a terminal.
   *
   * @param output absent if nothing is to be printed
   * @param width of the terminal, in columns
   */
  Progress(Optional<PrintStream> output, OptionalInt width) {
    this.output = output;
    this.width = width.orElse(DEFAULT_WIDTH);
  }

  /** Creates progress on standard error. */
  static Progress onStandardError() {
    boolean shown =
        Terminal.isTerminal(Terminal.Stream.ERROR) && EnvironmentVariables.get("CI").isEmpty();
    return shown
        ? new Progress(Optional.of(System.err), Terminal.width(Terminal.Stream.ERROR))
        : new Progress(Optional.empty(), OptionalInt.empty());
  }

  /** Replaces the line, which is cut to the width of the terminal. */
  void show(String text) {
    String line = text.length() < width ? text : text.substring(0, width - 1);
    output.ifPresent(it -> it.print(CLEAR_LINE + line));
    output.ifPresent(PrintStream::flush);
  }

  /** Removes the line. */
  @Override
  public void close() {
    show("");
  }
}
