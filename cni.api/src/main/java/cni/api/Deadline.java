package cni.api;

import java.time.Duration;

/**
 * The moment by which an operation must have ended.
 *
 * @param nanoTime on the clock of {@link System#nanoTime}
 */
public record Deadline(long nanoTime) {
  /** A deadline so far away that it is none: some 146 years. */
  private static final long FOREVER = Long.MAX_VALUE / 2;

  /** The moment after that time from now. */
  public static Deadline after(Duration time) {
    long nanos = time.compareTo(Duration.ofNanos(FOREVER)) >= 0 ? FOREVER : time.toNanos();
    return new Deadline(System.nanoTime() + nanos);
  }

  /** No deadline. */
  public static Deadline none() {
    return new Deadline(System.nanoTime() + FOREVER);
  }

  /** The time that is left; zero once it has passed. */
  public Duration remaining() {
    return Duration.ofNanos(Math.max(0, nanoTime - System.nanoTime()));
  }

  /**
   * Ends the operation if its time is up or its thread has been interrupted.
   *
   * @param what what is about to be done, to end "no time left for …"
   * @throws CniException code 11
   */
  public void check(String what) throws CniException {
    if (Thread.currentThread().isInterrupted()) {
      throw CniException.interrupted(what);
    }
    if (nanoTime - System.nanoTime() <= 0) {
      throw new CniException(ErrorCode.TRY_AGAIN_LATER, "the deadline passed before " + what);
    }
  }
}
