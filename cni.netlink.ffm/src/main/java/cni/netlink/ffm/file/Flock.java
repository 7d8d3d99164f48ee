package cni.netlink.ffm.file;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * A lock on a file by flock(2), the kind that the Go plugins take. An exclusive one excludes every
 * other open of the file, in this process as in others; shared ones exclude the exclusive. Java's
 * own file locks are of another kind and exclude neither.
 */
public final class Flock implements AutoCloseable {
  private static final long INITIAL_BACKOFF_NANOS = TimeUnit.MICROSECONDS.toNanos(50);
  private static final long MAX_BACKOFF_NANOS = TimeUnit.MILLISECONDS.toNanos(5);

  private final Descriptor descriptor;

  private Flock(Descriptor descriptor) {
    this.descriptor = descriptor;
  }

  /**
   * Creates the file if need be (a directory will do, too) and waits until it is locked for this
   * holder alone.
   *
   * @param patience how long to wait at most
   * @throws KernelException EAGAIN if someone else kept it for that long; otherwise what opening
   *     the file answered
   * @throws InterruptedException if the thread is interrupted while it waits
   */
  public static Flock acquire(Path file, Duration patience)
      throws KernelException, InterruptedException {
    return acquire(file, Libc.LOCK_EX, patience);
  }

  /**
   * As {@link #acquire}, together with others that lock it this way.
   *
   * @throws KernelException as {@link #acquire}
   * @throws InterruptedException if the thread is interrupted while it waits
   */
  public static Flock acquireShared(Path file, Duration patience)
      throws KernelException, InterruptedException {
    return acquire(file, Libc.LOCK_SH, patience);
  }

  private static Flock acquire(Path file, int operation, Duration patience)
      throws KernelException, InterruptedException {
    var descriptor = new Descriptor(open(file.toString()));
    try {
      waitForLock(descriptor, operation, System.nanoTime() + patience.toNanos());
      return new Flock(descriptor);
    } catch (KernelException | InterruptedException | RuntimeException e) {
      descriptor.close();
      throw e;
    }
  }

  private static int open(String file) throws KernelException {
    int flags = Libc.O_RDONLY | Libc.O_CLOEXEC;
    try {
      return Libc.open(file, flags | Libc.O_CREAT, 0600);
    } catch (KernelException e) {
      if (!e.is(Errno.EISDIR)) {
        throw e;
      }
      return Libc.open(file, flags, 0);
    }
  }

  /**
   * A thread that blocks inside flock(2) could not be interrupted, so it asks again after pauses
   * that grow.
   */
  private static void waitForLock(Descriptor descriptor, int operation, long end)
      throws KernelException, InterruptedException {
    long pause = INITIAL_BACKOFF_NANOS;
    while (true) {
      try {
        Libc.flock(descriptor.fd(), operation | Libc.LOCK_NB);
        return;
      } catch (KernelException e) {
        boolean busy = e.is(Errno.EAGAIN) || e.is(Errno.EINTR);
        if (!busy || System.nanoTime() - end >= 0) {
          throw e;
        }
      }
      TimeUnit.NANOSECONDS.sleep(pause);
      pause = Math.min(pause * 2, MAX_BACKOFF_NANOS);
    }
  }

  /** Gives the lock back. */
  @Override
  public void close() {
    descriptor.close();
  }
}
