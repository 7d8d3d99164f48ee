package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.SpecVersion;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** How a failure is told: in words to people, as the specification's JSON to programs. */
final class ErrorReporter {
  private static final int EXIT_FAILURE = 1;

  private ErrorReporter() {}

  /** Tells a failure and gives the exit status for it. */
  static int report(Exception failure) {
    CniException error =
        failure instanceof CniException e
            ? e
            : new CniException(
                failure instanceof IOException ? ErrorCode.IO_FAILURE : ErrorCode.INTERNAL,
                failure instanceof IOException && failure.getMessage() != null
                    ? failure.getMessage()
                    : failure.toString(),
                failure);
    System.err.println("cni: " + error.getMessage() + " (code " + error.code() + ")");
    if (!error.details().isEmpty()) {
      System.err.println(error.details().indent(2).stripTrailing());
    }
    for (Throwable also : error.getSuppressed()) {
      System.err.println("cni: and while cleaning up: " + also.getMessage());
    }
    if (!isTerminal()) {
      System.out.println(Json.pretty(error.toJson(SpecVersion.CURRENT)));
    }
    return EXIT_FAILURE;
  }

  /** Whether standard output goes to a terminal. */
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
