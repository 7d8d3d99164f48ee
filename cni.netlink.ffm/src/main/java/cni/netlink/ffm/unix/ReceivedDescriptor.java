// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.unix;

import cni.netlink.ffm.libc.Descriptor;
import java.nio.file.Path;

/** A descriptor that another process has passed, SCM_RIGHTS of unix(7). */
public final class ReceivedDescriptor implements AutoCloseable {
  private final Descriptor descriptor;

  ReceivedDescriptor(int fd) {
    this.descriptor = new Descriptor(fd);
  }

  /** Returns a path by which this process can open the same file until this is closed. */
  public Path path() {
    return Path.of("/proc/self/fd", String.valueOf(descriptor.fd()));
  }

  @Override
  public void close() {
    descriptor.close();
  }
}
