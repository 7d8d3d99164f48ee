package cni.sandbox;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.ErrorCode;

/** Names for interfaces. */
public final class InterfaceNames {
  private InterfaceNames() {}

  /** The error (code 4) for a name in the container that an interface has already. */
  public static CniException taken(Attachment attachment, Exception cause) {
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
