package cni.runtime;

import cni.api.CniException;
import cni.api.ErrorCode;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** What goes wrong in work that is done to its end all the same. */
final class FailureCollector {
  private final String what;
  private final List<CniException> failures = new ArrayList<>();

  /**
   * Nothing has gone wrong yet.
   *
   * @param what the work, to begin the message
   */
  FailureCollector(String what) {
    this.what = what;
  }

  /** A part of the work. */
  interface Part {
    void run() throws CniException;
  }

  /** Does a part of it and notes its failure. */
  void collect(Part part) {
    try {
      part.run();
    } catch (CniException e) {
      failures.add(e);
    } catch (RuntimeException e) {
      failures.add(new CniException(ErrorCode.INTERNAL, "unexpected " + e, e));
    }
  }

  /**
   * Tells what went wrong.
   *
   * @throws CniException the only failure; or one with the code of the first and the words of all,
   *     which has them as suppressed exceptions
   */
  void throwIfAny() throws CniException {
    if (failures.isEmpty()) {
      return;
    }
    if (failures.size() == 1) {
      throw failures.getFirst();
    }
    String all = failures.stream().map(CniException::getMessage).collect(Collectors.joining("; "));
    String message = what + ": " + failures.size() + " failures: " + all;
    var together = new CniException(failures.getFirst().code(), message, "", null);
    failures.forEach(together::addSuppressed);
    throw together;
  }
}
