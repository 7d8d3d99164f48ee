// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import java.time.Duration;

/**
 * How soon an attachment may be repaired again: the more often it has been damaged shortly after a
 * repair, the later.
 *
 * @param repairs the number of repairs in a row
 * @param lastRepair when the last of them ended, in the time of System.nanoTime
 */
record RepairBackoff(int repairs, long lastRepair) {
  private static final Duration FIRST_DELAY = Duration.ofSeconds(1);
  private static final Duration MAX_DELAY = Duration.ofMinutes(5);

  /** An attachment that has lasted for this many delays is no longer being damaged. */
  private static final int FORGIVENESS_FACTOR = 4;

  /** From this number of repairs on, something is taken to remove what they restore. */
  private static final int FIGHT = 3;

  /** Returns the backoff after a repair that ended now. */
  static RepairBackoff first(long now) {
    return new RepairBackoff(1, now);
  }

  /** Returns the backoff after a further repair. */
  RepairBackoff next(long now) {
    boolean lasted = now - lastRepair > FORGIVENESS_FACTOR * delay().toNanos();
    return lasted ? first(now) : new RepairBackoff(repairs + 1, now);
  }

  /** Returns how long after the last repair the next one may start. */
  Duration delay() {
    int doublings = Math.min(repairs - 1, 20);
    Duration delay = FIRST_DELAY.multipliedBy(1L << doublings);
    return delay.compareTo(MAX_DELAY) < 0 ? delay : MAX_DELAY;
  }

  /** Returns when the next repair may start, in the time of System.nanoTime. */
  long nextRepair() {
    return lastRepair + delay().toNanos();
  }

  /** Returns whether something seems to keep removing what repairs restore. */
  boolean isFight() {
    return repairs >= FIGHT;
  }
}
