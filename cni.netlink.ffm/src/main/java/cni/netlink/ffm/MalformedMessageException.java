// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm;

import java.io.IOException;

/** A message from the kernel whose lengths are inconsistent, or which lacks what it must have. */
public final class MalformedMessageException extends IOException {
  private static final long serialVersionUID = 1L;

  /** Creates the exception. */
  public MalformedMessageException(String message) {
    super("malformed netlink message: " + message);
  }
}
