// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.function.Supplier;

/**
 * Work that an interrupt of the calling thread must not abort. An interrupt that arrives meanwhile
 * is pending when the method returns.
 */
public final class Uninterruptibly {
  private Uninterruptibly() {}

  /** Input or output with a small file, which can be repeated. */
  @FunctionalInterface
  public interface FileOperation<T> {
    /** Reads or writes the file, from its opening to its closing. */
    T run() throws IOException;
  }

  /**
   * Reads or writes a small file. An interrupt closes the channel that a thread uses ({@link
   * java.nio.channels.InterruptibleChannel}), which would leave a file empty or incomplete and an
   * error without a message; the operation is repeated instead.
   *
   * @throws IOException if the operation fails for another reason
   */
  static <T> T withFile(FileOperation<T> operation) throws IOException {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return operation.run();
        } catch (ClosedByInterruptException e) {
          interrupted = Thread.interrupted();
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /**
   * Does the work on a new thread and waits for it.
   *
   * @param threadName the name of the new thread
   */
  public static <T> T get(String threadName, Supplier<T> work) {
    var task = new FutureTask<>(work::get);
    try {
      start(threadName, task);
      await(task);
      return task.get();
    } catch (InterruptedException e) {
      throw new AssertionError(e); // it is done
    } catch (ExecutionException e) {
      if (e.getCause() instanceof Error error) {
        throw error;
      }
      throw new IllegalStateException(e.getCause());
    }
  }

  /**
   * Does the work on a new thread, where no interrupt of the caller reaches it, and waits for it.
   *
   * @param threadName the name of the new thread
   * @param work does not throw
   */
  public static void run(String threadName, Runnable work) {
    var task = new FutureTask<>(work, true);
    try {
      start(threadName, task);
    } catch (OutOfMemoryError e) { // the system allows no further thread
      task.run();
    }
    await(task);
  }

  private static void start(String name, Runnable task) {
    Thread.ofPlatform().daemon().name(name).start(task);
  }

  /** Waits until a task is done, whatever its outcome. */
  public static void await(FutureTask<?> task) {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          task.get();
          return;
        } catch (InterruptedException e) {
          interrupted = true;
        } catch (ExecutionException e) {
          return; // reported by get
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
