// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.process.ParentTermination;
import org.jspecify.annotations.Nullable;

/**
 * The launcher of a plugin request: the script bin/cni-jvm (src/main/image/cni-jvm). It waits for
 * this process, and answers in its place if it cannot: if the JVM does not start, crashes or is
 * killed.
 */
final class LauncherProcess {
  private static final int EXIT_SUCCESS = 0;

  /** The exit status which means to the launcher that an error has been printed. */
  private static final int EXIT_ANSWERED = 3;

  /** Its process id, if there is a launcher that waits. */
  private static final @Nullable Integer PID = Integer.getInteger("cni.launcher");

  private LauncherProcess() {}

  /**
   * Makes this process end with the launcher: a runtime whose plugin takes too long kills the
   * process that it has started, which is the launcher. Called by the main thread before it changes
   * anything.
   *
   * @throws CniException code 11 if the launcher has ended already
   */
  static void endTogether() throws CniException {
    try {
      if (PID != null && !ParentTermination.endWith(PID)) {
        throw new CniException(ErrorCode.TRY_AGAIN_LATER, "the launcher has been killed");
      }
    } catch (KernelException e) {
      System.err.println("cni: this process may outlive its launcher: " + e.getMessage());
    }
  }

  /** Converts the exit status of a served request to the one that the launcher expects. */
  static int exitStatus(int status) {
    return PID == null || status == EXIT_SUCCESS ? status : EXIT_ANSWERED;
  }
}
