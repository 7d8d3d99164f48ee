// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.LibcProcess;

/** The reader of a pipe or socket that this process writes to. */
public final class PipeReader {
  private PipeReader() {}

  /**
   * Returns whether nothing written to a descriptor is read any more: write(2) fails with EPIPE.
   * False for a file, a device and a closed descriptor.
   *
   * @param fd a descriptor of this process
   */
  public static boolean isGone(int fd) {
    try {
      short[] events = LibcProcess.poll(new int[] {fd}, new int[] {0}, 0);
      return (events[0] & LibcProcess.POLLERR) != 0; // pipe_poll() in fs/pipe.c
    } catch (KernelException e) {
      return false; // its error is reported by the write that fails
    }
  }
}
