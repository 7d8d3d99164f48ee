// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.file;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * A lock on a file by flock(2), as the Go plugins use it. It belongs to one open of the file: an
 * exclusive lock excludes all others, within this process as well. {@link
 * java.nio.channels.FileLock} is a POSIX lock of fcntl(2), which flock(2) does not respect.
 */
public final class Flock implements AutoCloseable {
  private static final long INITIAL_BACKOFF_NANOS = TimeUnit.MICROSECONDS.toNanos(50);
  private static final long MAX_BACKOFF_NANOS = TimeUnit.MILLISECONDS.toNanos(5);

  private final Descriptor descriptor;

  private boolean inherited;

  private Flock(Descriptor descriptor) {
    this.descriptor = descriptor;
  }

  /**
   * Locks a file exclusively. A missing file is created, with mode 0600.
   *
   * @param timeout how long to wait for the lock
   * @throws KernelException EAGAIN if the lock is held elsewhere until the timeout; EINVAL if it is
   *     not a regular file; ELOOP if it is a symbolic link; any other error of open(2)
   * @throws InterruptedException if the thread is interrupted while it waits
   */
  public static Flock acquire(Path file, Duration timeout)
      throws KernelException, InterruptedException {
    return acquire(openFile(file.toString(), Libc.O_CREAT), Libc.LOCK_EX, timeout);
  }

  /**
   * Locks a file as {@link #acquire} does, but shared with other shared locks.
   *
   * @throws KernelException as {@link #acquire}
   * @throws InterruptedException if the thread is interrupted while it waits
   */
  public static Flock acquireShared(Path file, Duration timeout)
      throws KernelException, InterruptedException {
    return acquire(openFile(file.toString(), Libc.O_CREAT), Libc.LOCK_SH, timeout);
  }

  /**
   * Locks a file exclusively if it exists.
   *
   * @return empty if there is no such file
   * @throws KernelException as {@link #acquire}
   * @throws InterruptedException if the thread is interrupted while it waits
   */
  public static Optional<Flock> acquireExisting(Path file, Duration timeout)
      throws KernelException, InterruptedException {
    return acquireExisting(file, Libc.LOCK_EX, timeout);
  }

  /**
   * Locks a file as {@link #acquireExisting(Path, Duration)} does, but shared with other shared
   * locks.
   *
   * @throws KernelException as {@link #acquire}
   * @throws InterruptedException if the thread is interrupted while it waits
   */
  public static Optional<Flock> acquireExistingShared(Path file, Duration timeout)
      throws KernelException, InterruptedException {
    return acquireExisting(file, Libc.LOCK_SH, timeout);
  }

  private static Optional<Flock> acquireExisting(Path file, int operation, Duration timeout)
      throws KernelException, InterruptedException {
    Descriptor descriptor;
    try {
      descriptor = openFile(file.toString(), 0);
    } catch (KernelException e) {
      if (e.is(Errno.ENOENT)) {
        return Optional.empty();
      }
      throw e;
    }
    return Optional.of(acquire(descriptor, operation, timeout));
  }

  /**
   * Locks a directory exclusively.
   *
   * @param timeout how long to wait for the lock
   * @throws KernelException EAGAIN if the lock is held elsewhere until the timeout; any error of
   *     open(2), such as ENOENT
   * @throws InterruptedException if the thread is interrupted while it waits
   */
  public static Flock acquireDirectory(Path directory, Duration timeout)
      throws KernelException, InterruptedException {
    int flags = Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC;
    var descriptor = new Descriptor(Libc.open(directory.toString(), flags, 0));
    return acquire(descriptor, Libc.LOCK_EX, timeout);
  }

  private static Flock acquire(Descriptor descriptor, int operation, Duration timeout)
      throws KernelException, InterruptedException {
    try {
      waitForLock(descriptor, operation, System.nanoTime() + timeout.toNanos());
      return new Flock(descriptor);
    } catch (KernelException | InterruptedException | RuntimeException e) {
      descriptor.close();
      throw e;
    }
  }

  /**
   * Opens a lock file. Without O_NONBLOCK, opening a FIFO would wait for a writer; without
   * O_NOFOLLOW, a link planted in the directory could make any file appear.
   *
   * @param creation O_CREAT, or 0 for a file that must exist
   */
  private static Descriptor openFile(String file, int creation) throws KernelException {
    int flags = Libc.O_RDONLY | Libc.O_NOFOLLOW | Libc.O_NONBLOCK | Libc.O_CLOEXEC;
    var descriptor = new Descriptor(Libc.open(file, flags | creation, 0600));
    try {
      if (!Libc.isRegularFile(descriptor.fd())) {
        throw new KernelException(
            Errno.EINVAL, "lock " + file + ", which is not a regular file; remove it");
      }
      return descriptor;
    } catch (KernelException | RuntimeException e) {
      descriptor.close();
      throw e;
    }
  }

  /** Polls with exponential backoff: a thread that blocks in flock(2) cannot be interrupted. */
  private static void waitForLock(Descriptor descriptor, int operation, long deadline)
      throws KernelException, InterruptedException {
    long pause = INITIAL_BACKOFF_NANOS;
    while (true) {
      try {
        Libc.flock(descriptor.fd(), operation | Libc.LOCK_NB);
        return;
      } catch (KernelException e) {
        boolean busy = e.is(Errno.EAGAIN) || e.is(Errno.EINTR);
        if (!busy || System.nanoTime() - deadline >= 0) {
          throw e;
        }
      }
      TimeUnit.NANOSECONDS.sleep(pause);
      pause = Math.min(pause * 2, MAX_BACKOFF_NANOS);
    }
  }

  /**
   * Returns the number of the descriptor, for a child process to inherit. The child then holds the
   * lock too: if this process dies, it is held until the child has closed the descriptor.
   *
   * @throws IllegalStateException if the lock has been released
   */
  public int inheritableFd() {
    inherited = true;
    return descriptor.fd();
  }

  /** Releases the lock, also for processes that have inherited it. */
  @Override
  public void close() {
    if (inherited) {
      unlock();
    }
    descriptor.close();
  }

  private void unlock() {
    inherited = false;
    try {
      Libc.flock(descriptor.fd(), Libc.LOCK_UN);
    } catch (KernelException e) {
      throw new AssertionError(e); // an open descriptor can be unlocked
    }
  }
}
