package cni.conformance;

import cni.api.CniException;
import java.nio.file.Path;
import java.util.Map;

/** A plugin that is examined: something that answers calls of the execution protocol. */
public interface PluginUnderTest {
  /** What it is, for people. */
  String describe();

  /** Whether it runs in this process, so that what it leaves open stays open. */
  default boolean isInProcess() {
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
  Response call(Map<String, String> environment, byte[] input, Path hostNamespace)
      throws CniException;

  /**
   * What came of a call.
   *
   * @param exitStatus the exit status; {@link #TIMED_OUT} if it did not end in time, and negative
   *     for the signal that ended it
   * @param stdout what it wrote to standard output
   * @param stderr what it wrote to standard error
   */
  record Response(int exitStatus, String stdout, String stderr) {
    /** It had to be stopped. */
    public static final int TIMED_OUT = Integer.MIN_VALUE;

    /** Whether it says that it succeeded. */
    public boolean succeeded() {
      return exitStatus == 0;
    }

    /** How it ended, and what it said, for people. */
    public String describe() {
      String ending =
          exitStatus == TIMED_OUT
              ? "did not end in time"
              : exitStatus < 0
                  ? "was ended by signal " + -exitStatus
                  : "ended with status " + exitStatus;
      String said = (stdout.isBlank() ? stderr : stdout).strip().replaceAll("\\s+", " ");
      return ending
          + (said.isEmpty()
              ? " and said nothing"
              : ": " + said.substring(0, Math.min(300, said.length())));
    }
  }
}
