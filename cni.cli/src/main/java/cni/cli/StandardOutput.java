// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.netlink.ffm.process.PipeReader;

/** Whether what the command has printed has been written. */
final class StandardOutput {
  private static final int DESCRIPTOR = 1;
  private static final int EXIT_FAILURE = 1;

  /** The status that a shell gives a command that SIGPIPE has killed, 128 + 13. */
  private static final int EXIT_BROKEN_PIPE = 141;

  private StandardOutput() {}

  /**
   * Flushes standard output. If it could not be written (it is closed, or the disk is full),
   * reports that on standard error. A reader that has closed its pipe, such as head(1), has what it
   * wants: the command ends without a message, as one that the signal SIGPIPE ends.
   *
   * @param status the exit status of the command if all is well
   * @return the exit status: a failure if something is missing from standard output
   */
  static int check(int status) {
    if (!Invocation.standardOutput().checkError()) {
      return status;
    }
    if (Invocation.current().isEmpty() && PipeReader.isGone(DESCRIPTOR)) {
      return status == 0 ? EXIT_BROKEN_PIPE : status;
    }
    Invocation.standardError()
        .println("cni: standard output cannot be written; the answer is lost");
    return status == 0 ? EXIT_FAILURE : status;
  }
}
