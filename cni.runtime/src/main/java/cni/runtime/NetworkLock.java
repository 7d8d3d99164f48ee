// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.internal.AtomicFiles;
import cni.api.internal.IoErrors;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.Flock;
import java.io.IOException;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * The lock that excludes GC of a network from its ADD and DEL (SPEC section 2, "GC"), and updates
 * and repairs from all of these: ADD, DEL and dry runs hold it shared; GC, update and repair hold
 * it exclusively. Threads of this process use a lock in memory, processes use flock(2) on two files
 * beside the results:
 *
 * <ul>
 *   <li>{@code <cache>/locks/stay/<network>} is the lock itself.
 *   <li>{@code <cache>/locks/entry/<network>} is held, in the same mode, while the first is
 *       acquired. GC holds it exclusively while it waits, so that new ADDs queue behind it and
 *       cannot keep it waiting without end; update and repair do the same.
 * </ul>
 */
final class NetworkLock {
  private final Path directory;
  private final boolean betweenProcesses;
  private final ConcurrentHashMap<String, ReentrantReadWriteLock> inProcess =
      new ConcurrentHashMap<>();

  /**
   * Creates the locks of a cache directory; no file is created yet.
   *
   * @param cache if it is on an in-memory file system, which no other process sees, no files are
   *     locked
   */
  NetworkLock(Path cache) {
    this.directory = cache.resolve("locks");
    this.betweenProcesses = cache.getFileSystem().equals(FileSystems.getDefault());
  }

  /** A lock that is held; the thread that acquired it releases it by closing this. */
  @FunctionalInterface
  interface Held extends AutoCloseable {
    @Override
    void close();
  }

  /**
   * Acquires the lock for ADD, DEL or a dry run: waits until no GC, update or repair of the network
   * is running or waiting.
   *
   * @throws CniException code 11 if the deadline passes or the thread is interrupted, code 5 if the
   *     files cannot be created or locked
   */
  Held shared(String network, Deadline deadline) throws CniException {
    return acquire(network, deadline, inProcess(network).readLock(), Flock::acquireShared);
  }

  /**
   * Acquires the lock for GC, update or repair: waits until no operation that holds it is running.
   *
   * @throws CniException as {@link #shared}
   */
  Held exclusive(String network, Deadline deadline) throws CniException {
    return acquire(network, deadline, inProcess(network).writeLock(), Flock::acquire);
  }

  private ReentrantReadWriteLock inProcess(String network) {
    return inProcess.computeIfAbsent(network, _ -> new ReentrantReadWriteLock(true));
  }

  /** Locks a file, shared or exclusively. */
  private interface FileLocker {
    Flock acquire(Path file, Duration timeout) throws KernelException, InterruptedException;
  }

  private Held acquire(String network, Deadline deadline, Lock lock, FileLocker locker)
      throws CniException {
    try {
      if (!lock.tryLock(deadline.remaining().toNanos(), TimeUnit.NANOSECONDS)) {
        throw busy(network);
      }
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for network " + network);
    }
    if (!betweenProcesses) {
      return lock::unlock;
    }
    boolean held = false;
    try {
      Flock file = lockFiles(network, deadline, locker);
      held = true;
      return () -> {
        file.close();
        lock.unlock();
      };
    } finally {
      if (!held) {
        lock.unlock();
      }
    }
  }

  private Flock lockFiles(String network, Deadline deadline, FileLocker locker)
      throws CniException {
    try (Flock _ = lockFile("entry", network, deadline, locker)) {
      return lockFile("stay", network, deadline, locker);
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for network " + network);
    } catch (IOException e) {
      throw e instanceof KernelException kernel && kernel.is(Errno.EAGAIN)
          ? busy(network)
          : new CniException(
              ErrorCode.IO_FAILURE,
              "network " + network + " cannot be locked: " + IoErrors.describe(e),
              e);
    }
  }

  private Flock lockFile(String purpose, String network, Deadline deadline, FileLocker locker)
      throws IOException, InterruptedException {
    Path parent = directory.resolve(purpose);
    try {
      return locker.acquire(parent.resolve(network), deadline.remaining());
    } catch (KernelException e) {
      if (!e.is(Errno.ENOENT)) {
        throw e;
      }
      AtomicFiles.createDirectories(parent);
      return locker.acquire(parent.resolve(network), deadline.remaining());
    }
  }

  private static CniException busy(String network) {
    return new CniException(
        ErrorCode.TRY_AGAIN_LATER,
        "network " + network + " was in use by other operations until the deadline");
  }
}
