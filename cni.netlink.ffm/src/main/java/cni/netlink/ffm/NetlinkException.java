// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm;

/**
 * A netlink request that the kernel refused. The message includes the text of the kernel's extended
 * acknowledgement, if it sent one.
 */
public final class NetlinkException extends KernelException {
  private static final long serialVersionUID = 1L;

  private final String extendedAck;

  /**
   * Creates the exception.
   *
   * @param errno the error number, positive
   * @param operation the request: {@code create link "eth0"}
   * @param extendedAck the kernel's text (NLMSGERR_ATTR_MSG), empty if there is none
   */
  public NetlinkException(int errno, String operation, String extendedAck) {
    super(errno, operation, extendedAck);
    this.extendedAck = extendedAck;
  }

  /** Returns the text of the extended acknowledgement; empty if there is none. */
  public String extendedAck() {
    return extendedAck;
  }
}
