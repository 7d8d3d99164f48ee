// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.SpecVersion;
import cni.api.internal.IoErrors;
import java.io.IOException;
import java.io.PrintStream;
import java.util.concurrent.Callable;

/**
 * Prints failures: as text on standard error, and as the specification's JSON on standard output
 * unless that is a terminal.
 */
final class ErrorReporter {
  private static final int EXIT_FAILURE = 1;

  private ErrorReporter() {}

  /**
   * Does the work of a command that a signal interrupts, and reports its failure before the process
   * ends, which it does when {@link InterruptOnShutdown} is closed. Returns the exit status.
   */
  static int run(Callable<Integer> work) {
    try {
      return work.call();
    } catch (Exception e) {
      return report(e);
    }
  }

  /** Prints a failure and returns the exit status. */
  static int report(Throwable failure) {
    CniException error = describe(failure);
    printText(error);
    printJson(error);
    return EXIT_FAILURE;
  }

  /**
   * Prints a failure as text only, for a command that prints JSON of its own; returns the exit
   * status.
   */
  static int reportText(Throwable failure) {
    printText(describe(failure));
    return EXIT_FAILURE;
  }

  private static CniException describe(Throwable failure) {
    CniException error =
        failure instanceof CniException e
            ? e
            : new CniException(
                failure instanceof IOException ? ErrorCode.IO_FAILURE : ErrorCode.INTERNAL,
                failure instanceof IOException e ? IoErrors.describe(e) : failure.toString(),
                failure);
    return Privileges.missing(failure)
        .map(it -> withMessage(error, error.getMessage() + "; " + it + ": run it with sudo"))
        .orElse(error);
  }

  /** Returns an error with another message. */
  static CniException withMessage(CniException error, String message) {
    var changed = new CniException(error.code(), message, error.details(), error.getCause());
    for (Throwable suppressed : error.getSuppressed()) {
      changed.addSuppressed(suppressed);
    }
    return changed;
  }

  private static void printText(CniException error) {
    PrintStream err = Invocation.standardError();
    err.println("cni: " + error.getMessage() + " (code " + error.code() + ")");
    if (!error.details().isEmpty()) {
      err.println(error.details().indent(2).stripTrailing());
    }
    for (Throwable suppressed : error.getSuppressed()) {
      err.println("cni: while cleaning up: " + suppressed.getMessage());
    }
  }

  /** Prints an error as the specification's JSON unless standard output is a terminal. */
  static void printJson(CniException error) {
    if (!Terminal.isTerminal(Terminal.Stream.OUTPUT)) {
      Json.print(error.toJson(SpecVersion.CURRENT), Invocation.standardOutput());
    }
  }
}
