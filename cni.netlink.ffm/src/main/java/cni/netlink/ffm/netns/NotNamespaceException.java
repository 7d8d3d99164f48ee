package cni.netlink.ffm.netns;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import java.nio.file.Path;

/** A file that was taken for a network namespace and is something else. */
public final class NotNamespaceException extends KernelException {
  private static final long serialVersionUID = 1L;

  /** Makes the exception for that file. */
  public NotNamespaceException(Path path) {
    super(Errno.EINVAL, path + " is not a network namespace");
  }
}
