// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.LibcProcess;

/** The end of the process that started this one. */
public final class ParentTermination {
  private ParentTermination() {}

  /**
   * Makes the kernel kill this process when its parent ends, prctl(2) with PR_SET_PDEATHSIG. It is
   * in force as long as the calling thread lives.
   *
   * @param pid the id of the parent as it was when this process was started
   * @return false if the parent has ended already: this process has another one, and is not killed
   * @throws KernelException if the kernel or a seccomp filter refuses it
   */
  public static boolean endWith(int pid) throws KernelException {
    LibcProcess.setParentDeathSignal(LibcProcess.SIGKILL);
    // Asked afterwards, so that a parent that ends in between is noticed.
    return LibcProcess.getppid() == pid;
  }
}
