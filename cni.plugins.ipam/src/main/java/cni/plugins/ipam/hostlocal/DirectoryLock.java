// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.internal.KeyedLocks;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.Flock;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * The lock on a reservation directory. Threads of this process first acquire a lock in memory; the
 * one that holds it acquires the flock(2) lock that excludes other processes, the Go plugins among
 * them.
 */
@FunctionalInterface
interface DirectoryLock {
  /** Locks with flock(2). */
  DirectoryLock FLOCK = DirectoryLock::acquireFlock;

  /**
   * Acquires the lock, waiting until the deadline.
   *
   * @param file the lock file, which is created if it does not exist
   * @throws CniException code 11 if the deadline passes or the thread is interrupted, code 5 if the
   *     file cannot be opened
   */
  Held acquire(Path file, Deadline deadline) throws CniException;

  /** A held lock, until it is closed. */
  interface Held extends AutoCloseable {
    @Override
    void close();
  }

  private static Held acquireFlock(Path file, Deadline deadline) throws CniException {
    KeyedLocks.Held processLock = acquireProcessLock(file, deadline);
    boolean held = false;
    try {
      Flock lock = Flock.acquire(file, deadline.remaining());
      held = true;
      return () -> {
        lock.close();
        processLock.close();
      };
    } catch (KernelException e) {
      throw e.is(Errno.EAGAIN)
          ? busy(file, e)
          : new CniException(ErrorCode.IO_FAILURE, String.valueOf(e.getMessage()), e);
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for " + file);
    } finally {
      if (!held) {
        processLock.close();
      }
    }
  }

  private static KeyedLocks.Held acquireProcessLock(Path file, Deadline deadline)
      throws CniException {
    try {
      return ProcessLocks.LOCKS
          .tryAcquire(file, deadline.remaining())
          .orElseThrow(() -> busy(file, null));
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for " + file);
    }
  }

  private static CniException busy(Path file, @Nullable Exception cause) {
    return new CniException(
        ErrorCode.TRY_AGAIN_LATER, file + " was locked by others until the deadline", cause);
  }

  /** Holds the locks in memory, one per lock file. */
  final class ProcessLocks {
    private static final KeyedLocks<Path> LOCKS = new KeyedLocks<>();

    private ProcessLocks() {}
  }
}
