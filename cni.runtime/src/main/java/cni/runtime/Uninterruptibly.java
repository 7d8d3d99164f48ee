package cni.runtime;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.function.Supplier;

/**
 * Work that an interrupt of the caller must not abort, because other threads will use its result as
 * well: loading plugins.
 */
final class Uninterruptibly {
  private Uninterruptibly() {}

  /**
   * Does the work on a new thread and waits for it. If the caller is interrupted meanwhile, its
   * interrupt status is set when this method returns.
   *
   * @param threadName the name of the new thread
   */
  static <T> T get(String threadName, Supplier<T> work) {
    var task = new FutureTask<>(work::get);
    Thread.ofPlatform().daemon().name(threadName).start(task);
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
