// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.CniException;
import cni.api.Deadline;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** Exponential backoff for polling: pauses from 0.1 ms, doubling up to 20 ms. */
public final class Backoff {
  private static final long MIN_PAUSE_NANOS = TimeUnit.MICROSECONDS.toNanos(100);
  private static final long MAX_PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(20);

  private final Deadline limit;
  private long pauseNanos = MIN_PAUSE_NANOS;

  /**
   * Starts the time limit.
   *
   * @param limit the longest time to poll
   */
  public Backoff(Duration limit) {
    this.limit = Deadline.after(limit);
  }

  /**
   * Pauses before the next poll.
   *
   * @param what what is waited for, for messages
   * @param deadline of the whole operation
   * @return false, without a pause, if the time limit has passed
   * @throws CniException code 11 if the deadline has passed or the thread is interrupted
   */
  public boolean pause(String what, Deadline deadline) throws CniException {
    deadline.check(what);
    if (limit.remaining().isZero()) {
      return false;
    }
    try {
      TimeUnit.NANOSECONDS.sleep(pauseNanos);
    } catch (InterruptedException e) {
      throw CniException.interrupted(what);
    }
    pauseNanos = Math.min(2 * pauseNanos, MAX_PAUSE_NANOS);
    return true;
  }
}
