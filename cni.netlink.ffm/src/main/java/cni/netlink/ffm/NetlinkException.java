package cni.netlink.ffm;

/**
 * A netlink request that the kernel refused. Its message ends with the kernel's own words, the
 * extended acknowledgement, where the kernel gave any.
 */
public final class NetlinkException extends KernelException {
  private static final long serialVersionUID = 1L;

  private final String extendedAck;

  /**
   * Makes the exception.
   *
   * @param errno the error number, positive
   * @param what the request
   * @param extendedAck the kernel's words (NLMSGERR_ATTR_MSG), or the empty string
   */
  public NetlinkException(int errno, String what, String extendedAck) {
    super(errno, what, extendedAck);
    this.extendedAck = extendedAck;
  }

  /** The kernel's own words, or the empty string. */
  public String extendedAck() {
    return extendedAck;
  }
}
