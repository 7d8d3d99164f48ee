package cni.plugins.support;

import cni.api.CniException;
import cni.api.Deadline;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** Pauses between questions about something that is soon the case: short at first, then longer. */
public final class Backoff {
  private static final long MIN_PAUSE_NANOS = TimeUnit.MICROSECONDS.toNanos(100);
  private static final long MAX_PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(20);

  private final Deadline limit;
  private long pauseNanos = MIN_PAUSE_NANOS;

  /**
   * Begins to wait.
   *
   * @param patience for how long at most
   */
  public Backoff(Duration patience) {
    this.limit = Deadline.after(patience);
  }

  /**
   * Pauses.
   *
   * @param what what is waited for, for messages
   * @return false, without a pause, if patience is at an end
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
