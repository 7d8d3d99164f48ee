package cni.plugins.ipam.hostlocal;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.Flock;
import java.nio.file.Path;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The lock on a directory of reservations. Threads of this process queue up in order; the one in
 * front takes the lock that the Go plugins take as well.
 */
@FunctionalInterface
interface DirectoryLock {
  /** Locks by flock(2). */
  DirectoryLock FLOCK = DirectoryLock::acquireFlock;

  /**
   * Waits for the lock.
   *
   * @param file the lock file, which is created if need be
   * @throws CniException code 11 if it cannot be had by the deadline or the thread is interrupted,
   *     code 5 if the file cannot be opened
   */
  Held acquire(Path file, Deadline deadline) throws CniException;

  /** A lock that is held. */
  interface Held extends AutoCloseable {
    @Override
    void close();
  }

  private static Held acquireFlock(Path file, Deadline deadline) throws CniException {
    ReentrantLock turn = ProcessLocks.of(file);
    try {
      if (!turn.tryLock(deadline.remaining().toNanos(), TimeUnit.NANOSECONDS)) {
        throw busy(file, null);
      }
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for " + file);
    }
    boolean held = false;
    try {
      Flock lock = Flock.acquire(file, deadline.remaining());
      held = true;
      return () -> {
        lock.close();
        turn.unlock();
      };
    } catch (KernelException e) {
      throw e.is(Errno.EAGAIN)
          ? busy(file, e)
          : new CniException(ErrorCode.IO_FAILURE, String.valueOf(e.getMessage()), e);
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for " + file);
    } finally {
      if (!held) {
        turn.unlock();
      }
    }
  }

  private static CniException busy(Path file, @Nullable Exception cause) {
    return new CniException(
        ErrorCode.TRY_AGAIN_LATER, file + " was locked by others until the deadline", cause);
  }

  /** The queues of this process, one for each directory. */
  final class ProcessLocks {
    private static final ConcurrentHashMap<Path, ReentrantLock> QUEUES = new ConcurrentHashMap<>();

    private ProcessLocks() {}

    static ReentrantLock of(Path file) {
      return QUEUES.computeIfAbsent(file, path -> new ReentrantLock());
    }
  }
}
