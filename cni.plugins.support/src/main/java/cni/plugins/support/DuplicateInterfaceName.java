// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.ErrorCode;

/** The error for an interface name that is already in use in the container. */
public final class DuplicateInterfaceName {
  private DuplicateInterfaceName() {}

  /** Creates the error, code 4, for the name of an attachment. */
  public static CniException error(Attachment attachment, Exception cause) {
    return new CniException(
        ErrorCode.INVALID_PARAMETER,
        "interface "
            + attachment.interfaceName()
            + " (CNI_IFNAME) exists already in "
            + attachment.sandbox()
            + "; delete that attachment first, or choose another name",
        cause);
  }
}
