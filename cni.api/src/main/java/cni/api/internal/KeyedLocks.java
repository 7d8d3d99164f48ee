// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Mutual exclusion by key: a fair, reentrant lock for each key that is held or waited for.
 *
 * <p>A lock is removed with its last user, so the memory used is proportional to the operations
 * under way and not to the keys ever seen.
 *
 * @param <K> the type of the keys, compared by {@code equals}
 */
public final class KeyedLocks<K> {
  /** How often {@link #awaitIdle} checks the locks. */
  private static final Duration POLL_INTERVAL = Duration.ofMillis(10);

  private final ConcurrentHashMap<K, CountedLock> locks = new ConcurrentHashMap<>();

  /** A lock and the number of threads that hold it or wait for it. */
  private static final class CountedLock {
    final ReentrantLock lock = new ReentrantLock(true);

    /** Only changed within {@code locks.compute}, which is atomic for each key. */
    int users;
  }

  /** A lock that is held; the thread that acquired it releases it by closing this. */
  @FunctionalInterface
  public interface Held extends AutoCloseable {
    /** Releases the lock. */
    @Override
    void close();
  }

  /** Creates a set of locks, none of which is held. */
  public KeyedLocks() {}

  /** Acquires the lock of a key, and waits for it without limit, whether interrupted or not. */
  public Held acquire(K key) {
    CountedLock counted = register(key);
    counted.lock.lock();
    return () -> release(key, counted);
  }

  /**
   * Acquires the lock of a key if that is possible within a time.
   *
   * @return the lock; absent if other threads held it until the time had passed
   * @throws InterruptedException if the thread is interrupted before or while it waits
   */
  public Optional<Held> tryAcquire(K key, Duration timeout) throws InterruptedException {
    CountedLock counted = register(key);
    boolean acquired = false;
    try {
      acquired = counted.lock.tryLock(timeout.toNanos(), TimeUnit.NANOSECONDS);
    } finally {
      if (!acquired) {
        unregister(key);
      }
    }
    return acquired ? Optional.of(() -> release(key, counted)) : Optional.empty();
  }

  private CountedLock register(K key) {
    return locks.compute(
        key,
        (_, present) -> {
          CountedLock counted = present == null ? new CountedLock() : present;
          counted.users++;
          return counted;
        });
  }

  private void release(K key, CountedLock counted) {
    counted.lock.unlock();
    unregister(key);
  }

  private void unregister(K key) {
    locks.computeIfPresent(key, (_, counted) -> --counted.users == 0 ? null : counted);
  }

  /** Returns the number of keys whose lock is held or waited for. */
  public int size() {
    return locks.size();
  }

  /**
   * Waits until no lock is held or waited for, at most for the given time. Returns early if the
   * thread is interrupted; its interrupt status is then set.
   */
  public void awaitIdle(Duration timeout) {
    long end = System.nanoTime() + timeout.toNanos();
    try {
      while (!locks.isEmpty() && System.nanoTime() < end) {
        Thread.sleep(POLL_INTERVAL);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
