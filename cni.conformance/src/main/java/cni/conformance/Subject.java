package cni.conformance;

import cni.api.CniException;
import java.nio.file.Path;
import java.util.Map;

/** A plugin that is examined: something that answers calls of the execution protocol. */
public interface Subject {
  /** What it is, for people. */
  String describe();

  /** Whether it runs in this process, so that what it leaves open stays open. */
  default boolean inProcess() {
    return false;
  }

  /**
   * Has it serve one call.
   *
   * @param environment CNI_* and nothing else
   * @param input what it reads from standard input
   * @param hostNamespace the path of the network namespace in which it runs
   * @return what it answered
   * @throws CniException if it could not be called at all
   */
  Answer call(Map<String, String> environment, byte[] input, Path hostNamespace)
      throws CniException;

  /**
   * What came of a call.
   *
   * @param status the exit status; {@link #NO_END} if it did not end in time, and negative for the
   *     signal that ended it
   * @param output what it wrote to standard output
   * @param errors what it wrote to standard error
   */
  record Answer(int status, String output, String errors) {
    /** It had to be stopped. */
    public static final int NO_END = Integer.MIN_VALUE;

    /** Whether it says that it succeeded. */
    public boolean succeeded() {
      return status == 0;
    }

    /** How it ended, and what it said, for people. */
    public String describe() {
      String ending =
          status == NO_END
              ? "did not end in time"
              : status < 0 ? "was ended by signal " + -status : "ended with status " + status;
      String said = (output.isBlank() ? errors : output).strip().replaceAll("\\s+", " ");
      return ending
          + (said.isEmpty()
              ? " and said nothing"
              : ": " + said.substring(0, Math.min(300, said.length())));
    }
  }
}
