// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;

/**
 * Runs the command with the standard streams of this process captured. Tests that use it are
 * {@code @Isolated}.
 */
final class CapturedCommand implements AutoCloseable {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();
  private final PrintStream originalOut = System.out;
  private final PrintStream originalErr = System.err;

  CapturedCommand() {
    System.setOut(new PrintStream(out, true, UTF_8));
    System.setErr(new PrintStream(err, true, UTF_8));
  }

  /** Runs a command, whose output replaces that of the previous one; returns the exit status. */
  int run(String... arguments) {
    out.reset();
    err.reset();
    return Main.execute(arguments);
  }

  /** Returns what the last command has printed on standard output. */
  String out() {
    return out.toString(UTF_8);
  }

  /** Returns what the last command has printed on standard error. */
  String err() {
    return err.toString(UTF_8);
  }

  @Override
  public void close() {
    System.setOut(originalOut);
    System.setErr(originalErr);
  }
}
