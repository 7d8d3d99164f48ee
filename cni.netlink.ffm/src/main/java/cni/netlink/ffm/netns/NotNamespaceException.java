// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.netns;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import java.nio.file.Path;

/** A path that was to be opened as a network namespace but is another kind of file. */
public final class NotNamespaceException extends KernelException {
  private static final long serialVersionUID = 1L;

  /** Creates the exception. */
  public NotNamespaceException(Path path) {
    super(Errno.EINVAL, path + " is not a network namespace");
  }
}
