// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.libc;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * An open file descriptor, closed at most once: closing it again does not close another file that
 * has the same number by then.
 */
public final class Descriptor implements AutoCloseable {
  private static final int CLOSED = -1;

  private final AtomicInteger fd;

  /** Takes ownership of an open descriptor. */
  public Descriptor(int fd) {
    this.fd = new AtomicInteger(fd);
  }

  /**
   * Returns the descriptor's number.
   *
   * @throws IllegalStateException if it has been closed
   */
  public int fd() {
    int number = fd.get();
    if (number == CLOSED) {
      throw new IllegalStateException("the descriptor has been closed");
    }
    return number;
  }

  @Override
  public void close() {
    int number = fd.getAndSet(CLOSED);
    if (number != CLOSED) {
      Libc.close(number);
    }
  }
}
