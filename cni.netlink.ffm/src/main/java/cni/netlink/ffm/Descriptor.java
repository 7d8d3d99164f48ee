package cni.netlink.ffm;

import java.util.concurrent.atomic.AtomicInteger;

/** An open file descriptor, closed at most once. */
final class Descriptor implements AutoCloseable {
  private static final int CLOSED = -1;

  private final AtomicInteger fd;

  Descriptor(int fd) {
    this.fd = new AtomicInteger(fd);
  }

  /**
   * The number.
   *
   * @throws IllegalStateException once it has been closed
   */
  int number() {
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
