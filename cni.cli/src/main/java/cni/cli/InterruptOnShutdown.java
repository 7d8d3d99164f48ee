// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Lets a signal, which starts the JVM's shutdown, interrupt the thread that created this, and
 * delays the end of the process until the thread has cleaned up and closed this.
 */
final class InterruptOnShutdown implements AutoCloseable {
  /** For cleaning up that has deadlines of its own. */
  static final Duration UNLIMITED = Duration.ofDays(365);

  private static final Duration TIMEOUT = Duration.ofSeconds(15);

  /** Code between may have consumed an interrupt. */
  private static final int REPETITION_MILLIS = 200;

  private final Thread worker = Thread.currentThread();
  private final Duration timeout;
  private final CountDownLatch closed = new CountDownLatch(1);
  private volatile boolean requested;
  private boolean interrupting = true; // guarded by this

  /** Delays the end of the process by at most 15 seconds. */
  InterruptOnShutdown(String threadName) {
    this(threadName, TIMEOUT);
  }

  InterruptOnShutdown(String threadName, Duration timeout) {
    this.timeout = timeout;
    Runtime.getRuntime().addShutdownHook(new Thread(this::interruptAndAwait, threadName));
  }

  /**
   * Does the work of a command, which a signal interrupts, and reports its failure before the
   * process ends. Returns the exit status. In a resident process, which survives its commands, the
   * thread itself is interrupted to end one.
   */
  static int run(String threadName, Callable<Integer> work) {
    if (Invocation.current().isPresent()) {
      return ErrorReporter.run(work);
    }
    try (var _ = new InterruptOnShutdown(threadName)) {
      return ErrorReporter.run(work);
    }
  }

  private void interruptAndAwait() {
    requested = true;
    long end = System.nanoTime() + timeout.toNanos();
    try {
      while (closed.getCount() > 0 && System.nanoTime() - end < 0) {
        interruptWorker();
        boolean _ = closed.await(REPETITION_MILLIS, TimeUnit.MILLISECONDS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private synchronized void interruptWorker() {
    if (interrupting) {
      worker.interrupt();
    }
  }

  /** Returns whether the process is to end. */
  boolean isRequested() {
    return requested;
  }

  /**
   * Clears the interrupt of the thread and prevents further ones, so that it can clean up. Called
   * by the thread itself.
   */
  synchronized void stopInterrupting() {
    interrupting = false;
    boolean _ = Thread.interrupted();
  }

  /** Lets the process end. */
  @Override
  public void close() {
    closed.countDown();
  }
}
