// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.libc.LibcProcess;

/**
 * Kills a child process, with its process group, when this process dies, whatever kills it.
 *
 * <p>The child inherits the read end of a pipe whose write end only this process has. With O_ASYNC
 * the kernel sends the signal of F_SETSIG to the owner of F_SETOWN when the last write end is
 * closed (kill_fasync in pipe_release, fs/pipe.c), which it does for a process that dies. Nothing
 * of this runs in the child, and no thread or further process is needed.
 *
 * <p>PR_SET_PDEATHSIG, the other way, reaches the child alone and not what it has started, is sent
 * when the <em>thread</em> that started the child ends, and has to be set by the child itself: a
 * wrapper such as setpriv(1) costs another execve(2), as much as a small plugin.
 *
 * <p>A process that leaves the process group, as daemons do, is not killed. Neither is one whose
 * child has closed or replaced the inherited descriptor.
 */
final class ParentDeathSignal implements AutoCloseable {
  private static final int CLOSED = -1;

  private int readEnd;
  private int writeEnd;

  private ParentDeathSignal(int[] pipe) {
    this.readEnd = pipe[0];
    this.writeEnd = pipe[1];
  }

  /** Creates the pipe. */
  static ParentDeathSignal open() throws KernelException {
    return new ParentDeathSignal(LibcProcess.pipe2());
  }

  /** Returns the descriptor that the child inherits. */
  int childEnd() {
    return readEnd;
  }

  /**
   * Starts to watch for the death of this process. A child whose parent dies before this sees the
   * end of its standard input, as nothing has been written to it.
   *
   * @param target the child, or its negative number for its process group
   */
  void arm(int target) {
    try {
      LibcProcess.signalOwnerOnClose(readEnd, target, LibcProcess.SIGKILL);
    } catch (KernelException e) {
      // The kernel does not support it, or the child has ended (ESRCH).
    }
  }

  /** Stops watching; other processes that have the descriptor are kept. */
  void disarm() throws KernelException {
    if (readEnd != CLOSED) {
      LibcProcess.disableAsync(readEnd);
      Libc.close(readEnd);
      readEnd = CLOSED;
    }
  }

  /** Returns whether other processes have the descriptor, once it is disarmed. */
  boolean isHeld() throws KernelException {
    short[] events = LibcProcess.poll(new int[] {writeEnd}, new int[] {0}, 0);
    return (events[0] & LibcProcess.POLLERR) == 0; // POLLERR: the pipe has no reader
  }

  @Override
  public void close() {
    if (readEnd != CLOSED) {
      Libc.close(readEnd);
    }
    if (writeEnd != CLOSED) {
      Libc.close(writeEnd);
    }
    readEnd = CLOSED;
    writeEnd = CLOSED;
  }
}
