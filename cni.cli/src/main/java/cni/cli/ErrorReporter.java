package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.SpecVersion;
import cni.api.internal.IoErrors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Prints failures: as text on standard error, and as the specification's JSON on standard output
 * unless that is a terminal.
 */
final class ErrorReporter {
  private static final int EXIT_FAILURE = 1;

  private ErrorReporter() {}

  /** Prints a failure and returns the exit status. */
  static int report(Throwable failure) {
    CniException error =
        failure instanceof CniException e
            ? e
            : new CniException(
                failure instanceof IOException ? ErrorCode.IO_FAILURE : ErrorCode.INTERNAL,
                failure instanceof IOException e ? IoErrors.describe(e) : failure.toString(),
                failure);
    System.err.println("cni: " + error.getMessage() + " (code " + error.code() + ")");
    if (!error.details().isEmpty()) {
      System.err.println(error.details().indent(2).stripTrailing());
    }
    for (Throwable suppressed : error.getSuppressed()) {
      System.err.println("cni: while cleaning up: " + suppressed.getMessage());
    }
    if (!isTerminal()) {
      Json.print(error.toJson(SpecVersion.CURRENT), System.out);
    }
    return EXIT_FAILURE;
  }

  /** Returns whether standard output is a terminal. */
  private static boolean isTerminal() {
    try {
      String target = Files.readSymbolicLink(Path.of("/proc/self/fd/1")).toString();
      return target.startsWith("/dev/pts/")
          || target.startsWith("/dev/tty")
          || target.equals("/dev/console");
    } catch (IOException e) {
      return false;
    }
  }
}
