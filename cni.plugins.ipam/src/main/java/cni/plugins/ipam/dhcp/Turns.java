package cni.plugins.ipam.dhcp;

import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

/** Has the threads of a process take turns at each lease. */
final class Turns {
  private final ConcurrentHashMap<Path, Turn> turns = new ConcurrentHashMap<>();

  /** One lease's, which exists as long as somebody has it or waits for it. */
  private static final class Turn {
    private final ReentrantLock lock = new ReentrantLock();
    private int users;
  }

  /** A turn that is had until it is closed. */
  interface Had extends AutoCloseable {
    @Override
    void close();
  }

  /** Waits for the turn at a lease. */
  Had take(Path file) {
    Turn turn =
        turns.compute(
            file,
            (key, there) -> {
              Turn it = there == null ? new Turn() : there;
              it.users++;
              return it;
            });
    turn.lock.lock();
    return () -> {
      turn.lock.unlock();
      turns.computeIfPresent(file, (key, there) -> --there.users == 0 ? null : there);
    };
  }

  /** Waits until nobody has a turn, but not for ever. */
  void awaitEnd(Duration patience) {
    long end = System.nanoTime() + patience.toNanos();
    try {
      while (!turns.isEmpty() && System.nanoTime() < end) {
        TimeUnit.MILLISECONDS.sleep(10);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
