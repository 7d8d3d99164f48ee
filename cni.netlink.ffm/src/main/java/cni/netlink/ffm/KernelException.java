// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm;

import java.io.IOException;

/**
 * A system call or a netlink request that failed. The message names the operation and its object,
 * then says what {@link #errno} means.
 */
public class KernelException extends IOException {
  private static final long serialVersionUID = 1L;

  private final int errno;

  /**
   * Creates the exception.
   *
   * @param errno the error number, positive
   * @param operation what failed: "setns(4)", "create link \"eth0\""
   */
  public KernelException(int errno, String operation) {
    this(errno, operation, "");
  }

  /** As the public constructor, with the text of an extended acknowledgement, empty if none. */
  KernelException(int errno, String operation, String extendedAck) {
    super(
        operation
            + ": "
            + Errno.describe(errno)
            + (extendedAck.isEmpty() ? "" : ": " + extendedAck)
            + " (errno "
            + errno
            + ")");
    this.errno = errno;
  }

  /** Returns the error number, positive; see {@link Errno}. */
  public int errno() {
    return errno;
  }

  /** Returns whether {@link #errno} is the given error number. */
  public boolean is(int candidate) {
    return errno == candidate;
  }
}
