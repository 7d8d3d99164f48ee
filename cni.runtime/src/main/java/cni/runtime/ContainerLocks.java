package cni.runtime;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

/**
 * One lock for each container that something is being done to, so that operations on one container
 * take turns (SPEC section 3, "Lifecycle and ordering").
 */
final class ContainerLocks {
  private final ConcurrentHashMap<String, Entry> entries = new ConcurrentHashMap<>();

  /** A lock and how many hold it or wait for it. */
  private static final class Entry {
    final ReentrantLock lock = new ReentrantLock(true);
    int users;
  }

  /** A lock that is held. */
  interface Held extends AutoCloseable {
    @Override
    void close();
  }

  /**
   * Waits for a container's turn.
   *
   * @throws CniException code 11 if it does not come by the deadline or the thread is interrupted
   */
  Held acquire(String containerId, Deadline deadline) throws CniException {
    Entry entry =
        entries.compute(
            containerId,
            (id, present) -> {
              Entry used = present == null ? new Entry() : present;
              used.users++;
              return used;
            });
    boolean held = false;
    try {
      held = entry.lock.tryLock(deadline.remaining().toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for another operation on container " + containerId);
    } finally {
      if (!held) {
        forget(containerId);
      }
    }
    if (!held) {
      throw new CniException(
          ErrorCode.TRY_AGAIN_LATER,
          "another operation on container " + containerId + " did not end by the deadline");
    }
    return () -> {
      entry.lock.unlock();
      forget(containerId);
    };
  }

  /** The last user of an entry takes it away. */
  private void forget(String containerId) {
    entries.computeIfPresent(containerId, (id, entry) -> --entry.users == 0 ? null : entry);
  }

  /** How many containers something is being done to. */
  int size() {
    return entries.size();
  }
}
