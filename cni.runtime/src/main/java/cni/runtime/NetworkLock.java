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
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * Keeps the collection of a network's garbage apart from its ADD and DEL (SPEC section 2, "GC"), in
 * this process by a lock in memory, among processes by flock(2) on files beside the results: {@code
 * <cache>/locks/stay/<network>}, which ADD and DEL share and GC has alone, and {@code
 * <cache>/locks/entry/<network>}, which everybody passes on the way there. GC keeps the entry while
 * it waits, so that a stream of ADDs cannot hold it up for ever.
 */
final class NetworkLock {
  private final Path directory;
  private final boolean betweenProcesses;
  private final ConcurrentHashMap<String, ReentrantReadWriteLock> inProcess =
      new ConcurrentHashMap<>();

  /**
   * Locks beside the results of that cache.
   *
   * @param cache on a file system of memory, which no other process sees, files are not locked
   */
  NetworkLock(Path cache) {
    this.directory = cache.resolve("locks");
    this.betweenProcesses = cache.getFileSystem().equals(FileSystems.getDefault());
  }

  /** A lock that is held, to be given back by the thread that took it. */
  interface Held extends AutoCloseable {
    @Override
    void close();
  }

  /**
   * Waits until nobody collects the network's garbage, and keeps it so.
   *
   * @throws CniException code 11 if the deadline passes or the thread is interrupted, code 5 if the
   *     files cannot be made
   */
  Held shared(String network, Deadline deadline) throws CniException {
    return acquire(network, deadline, inProcess(network).readLock(), Flock::acquireShared);
  }

  /**
   * Waits until nothing is done to the network, and keeps it so.
   *
   * @throws CniException as {@link #shared}
   */
  Held exclusive(String network, Deadline deadline) throws CniException {
    return acquire(network, deadline, inProcess(network).writeLock(), Flock::acquire);
  }

  private ReentrantReadWriteLock inProcess(String network) {
    return inProcess.computeIfAbsent(network, name -> new ReentrantReadWriteLock(true));
  }

  /** One of the two ways to lock a file. */
  private interface FileLock {
    Flock acquire(Path file, java.time.Duration patience)
        throws KernelException, InterruptedException;
  }

  private Held acquire(String network, Deadline deadline, Lock lock, FileLock fileLock)
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
      Flock file = lockFiles(network, deadline, fileLock);
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

  private Flock lockFiles(String network, Deadline deadline, FileLock fileLock)
      throws CniException {
    try (Flock _ = lockFile("entry", network, deadline, fileLock)) {
      return lockFile("stay", network, deadline, fileLock);
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

  private Flock lockFile(String purpose, String network, Deadline deadline, FileLock fileLock)
      throws IOException, InterruptedException {
    Path parent = directory.resolve(purpose);
    try {
      return fileLock.acquire(parent.resolve(network), deadline.remaining());
    } catch (KernelException e) {
      if (!e.is(Errno.ENOENT)) {
        throw e;
      }
      AtomicFiles.createDirectories(parent);
      return fileLock.acquire(parent.resolve(network), deadline.remaining());
    }
  }

  private static CniException busy(String network) {
    return new CniException(
        ErrorCode.TRY_AGAIN_LATER,
        "network " + network + " was in use by other operations until the deadline");
  }
}
