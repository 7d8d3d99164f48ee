// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import cni.api.CniException;
import java.nio.file.Path;
import java.util.Map;

/** A plugin under examination, called by the execution protocol. */
public interface PluginUnderTest {
  /** Returns a description for reports. */
  String describe();

  /** Returns whether the plugin runs in this process, where leaked descriptors can be counted. */
  default boolean isInProcess() {
    return false;
  }

  /**
   * Calls the plugin once.
   *
   * @param environment the CNI_* variables only
   * @param input the standard input
   * @param hostNamespace the path of the network namespace in which the plugin runs
   * @throws CniException if the plugin cannot be called
   */
  Response call(Map<String, String> environment, byte[] input, Path hostNamespace)
      throws CniException;

  /**
   * * The response to a call.
   *
   * @param exitStatus the exit status; {@link #TIMED_OUT} if the call did not end in time; the
   *     negated signal number if it was terminated by a signal
   * @param stdout the standard output
   * @param stderr the standard error
   */
  record Response(int exitStatus, String stdout, String stderr) {
    /** The exit status of a call that did not end in time. */
    public static final int TIMED_OUT = Integer.MIN_VALUE;

    private static final int MAX_EXCERPT_LENGTH = 300;

    /** Returns whether the exit status is 0. */
    public boolean succeeded() {
      return exitStatus == 0;
    }

    /** Returns how the call ended and an excerpt of its output, as in "ended with status 1: …". */
    public String describe() {
      String ending =
          exitStatus == TIMED_OUT
              ? "did not end in time"
              : exitStatus < 0
                  ? "was ended by signal " + -exitStatus
                  : "ended with status " + exitStatus;
      String output = (stdout.isBlank() ? stderr : stdout).strip().replaceAll("\\s+", " ");
      return ending
          + (output.isEmpty()
              ? " and printed nothing"
              : ": " + output.substring(0, Math.min(MAX_EXCERPT_LENGTH, output.length())));
    }
  }
}
