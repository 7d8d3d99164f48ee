package cni.sandbox;

import cni.api.CniException;
import cni.api.Deadline;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** Pauses between questions about something that is soon the case: short at first, then longer. */
public final class Backoff {
  private static final long FIRST_NANOS = TimeUnit.MICROSECONDS.toNanos(100);
  private static final long LONGEST_NANOS = TimeUnit.MILLISECONDS.toNanos(20);

  private final Deadline patience;
  private long pauseNanos = FIRST_NANOS;

  /**
   * Begins to wait.
   *
   * @param patience for how long at most
   */
  public Backoff(Duration patience) {
    this.patience = Deadline.after(patience);
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
    if (patience.remaining().isZero()) {
      return false;
    }
    try {
      TimeUnit.NANOSECONDS.sleep(pauseNanos);
    } catch (InterruptedException e) {
      throw CniException.interrupted(what);
    }
    pauseNanos = Math.min(2 * pauseNanos, LONGEST_NANOS);
    return true;
  }
}
