package cni.netlink.ffm;

import java.io.IOException;

/** A system call that failed: the message names the call and its object, errno says why. */
public class KernelException extends IOException {
  private static final long serialVersionUID = 1L;

  private final int errno;

  /**
   * Makes the exception.
   *
   * @param errno the error number, positive
   * @param what what was attempted: "setns(4)", "create link \"eth0\""
   */
  public KernelException(int errno, String what) {
    this(errno, what, "");
  }

  /** As the public constructor, with the kernel's own words if there are any. */
  KernelException(int errno, String what, String kernelWords) {
    super(
        what
            + ": "
            + Errno.describe(errno)
            + (kernelWords.isEmpty() ? "" : ": " + kernelWords)
            + " (errno "
            + errno
            + ")");
    this.errno = errno;
  }

  /** The error number, positive; see {@link Errno}. */
  public int errno() {
    return errno;
  }

  /** Whether errno is that one. */
  public boolean is(int other) {
    return errno == other;
  }
}
