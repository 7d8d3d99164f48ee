// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.internal.CniRunnable;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** Collects the failures of an operation that continues after each of them. */
final class FailureCollector {
  private final String operation;
  private final List<CniException> failures = new ArrayList<>();

  /**
   * Creates a collector without failures.
   *
   * @param operation the name of the operation, which starts the message of several failures
   */
  FailureCollector(String operation) {
    this.operation = operation;
  }

  /** Runs a part of the operation and keeps its exception, if it throws one. */
  void collect(CniRunnable part) {
    try {
      part.run();
    } catch (CniException e) {
      failures.add(e);
    } catch (RuntimeException | LinkageError | StackOverflowError e) {
      failures.add(new CniException(ErrorCode.INTERNAL, "unexpected " + e, e));
    }
  }

  /**
   * Reports the failures, if there are any.
   *
   * @throws CniException the only failure; or, for several, one with the code of the first and the
   *     messages of all, which has them as suppressed exceptions
   */
  void throwIfAny() throws CniException {
    if (failures.isEmpty()) {
      return;
    }
    if (failures.size() == 1) {
      throw failures.getFirst();
    }
    String all = failures.stream().map(CniException::getMessage).collect(Collectors.joining("; "));
    String message = operation + ": " + failures.size() + " failures: " + all;
    var combined = new CniException(failures.getFirst().code(), message, "", null);
    failures.forEach(combined::addSuppressed);
    throw combined;
  }
}
