package cni.cli;

/** Whether what the command has printed has been written. */
final class StandardOutput {
  private static final int EXIT_FAILURE = 1;

  private StandardOutput() {}

  /**
   * Flushes standard output. If it could not be written (it is closed, or the disk is full),
   * reports that on standard error.
   *
   * @param status the exit status of the command if all is well
   * @return the exit status: a failure if something is missing from standard output
   */
  static int check(int status) {
    if (!Invocation.standardOutput().checkError()) {
      return status;
    }
    Invocation.standardError()
        .println("cni: standard output cannot be written; the answer is lost");
    return status == 0 ? EXIT_FAILURE : status;
  }
}
