// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.time.Duration;

/**
 * The time by which an operation must have ended.
 *
 * @param nanoTime a value of {@link System#nanoTime}
 */
public record Deadline(long nanoTime) {
  /** In nanoseconds: about 146 years, which represents no deadline and cannot overflow. */
  private static final long FOREVER = Long.MAX_VALUE / 2;

  /** Returns the deadline that ends the given time from now. */
  public static Deadline after(Duration timeout) {
    requireNonNull(timeout, "timeout");
    long nanos = timeout.compareTo(Duration.ofNanos(FOREVER)) >= 0 ? FOREVER : timeout.toNanos();
    return new Deadline(System.nanoTime() + nanos);
  }

  /** Returns a deadline that never passes. */
  public static Deadline none() {
    return new Deadline(System.nanoTime() + FOREVER);
  }

  /** Returns this deadline, or the one that ends the given time from now if that is earlier. */
  public Deadline atMost(Duration timeout) {
    Deadline other = after(timeout);
    return other.nanoTime - nanoTime < 0 ? other : this;
  }

  /** Returns the time left; zero once the deadline has passed. */
  public Duration remaining() {
    return Duration.ofNanos(Math.max(0, nanoTime - System.nanoTime()));
  }

  /**
   * Checks that the deadline has not passed and that the thread has not been interrupted.
   *
   * @param action the next action, for the message "the deadline passed before …"
   * @throws CniException code 11 otherwise
   */
  public void check(String action) throws CniException {
    requireNonNull(action, "action");
    if (Thread.currentThread().isInterrupted()) {
      throw CniException.interrupted(action);
    }
    if (nanoTime - System.nanoTime() <= 0) {
      throw new CniException(ErrorCode.TRY_AGAIN_LATER, "the deadline passed before " + action);
    }
  }
}
