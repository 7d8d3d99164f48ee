package cni.cli;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Lets a signal interrupt the thread that created this, and delays the end of the process until the
 * thread has cleaned up and closed this.
 */
final class InterruptOnShutdown implements AutoCloseable {
  private static final int TIMEOUT_SECONDS = 15;

  /** Code between may have consumed an interrupt. */
  private static final int REPETITION_MILLIS = 200;

  private final Thread worker = Thread.currentThread();
  private final CountDownLatch closed = new CountDownLatch(1);

  InterruptOnShutdown(String name) {
    Runtime.getRuntime().addShutdownHook(new Thread(this::interruptAndAwait, name));
  }

  private void interruptAndAwait() {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(TIMEOUT_SECONDS);
    try {
      do {
        worker.interrupt();
      } while (!closed.await(REPETITION_MILLIS, TimeUnit.MILLISECONDS) && System.nanoTime() < end);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Lets the process end. */
  @Override
  public void close() {
    closed.countDown();
  }
}
