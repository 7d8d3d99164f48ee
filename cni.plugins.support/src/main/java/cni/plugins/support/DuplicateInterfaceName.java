package cni.plugins.support;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.ErrorCode;

/** Names for interfaces. */
public final class DuplicateInterfaceName {
  private DuplicateInterfaceName() {}

  /** The error (code 4) for a name in the container that an interface has already. */
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
