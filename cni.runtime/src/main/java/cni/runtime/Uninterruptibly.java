package cni.runtime;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.function.Supplier;

/** Work that goes on when whoever wants its outcome is interrupted: others will want it, too. */
final class Uninterruptibly {
  private Uninterruptibly() {}

  /**
   * Does something on another thread and waits for it. An interrupt meanwhile is pending
   * afterwards.
   *
   * @param name the thread's
   */
  static <T> T get(String name, Supplier<T> work) {
    var task = new FutureTask<>(work::get);
    Thread.ofPlatform().daemon().name(name).start(task);
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return task.get();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    } catch (ExecutionException e) {
      if (e.getCause() instanceof Error error) {
        throw error;
      }
      throw new IllegalStateException(e.getCause());
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
