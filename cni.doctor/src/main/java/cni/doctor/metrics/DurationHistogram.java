// SPDX-License-Identifier: Apache-2.0
package cni.doctor.metrics;

import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.LongAdder;

/**
 * Counts durations by ranges that cover plugin calls: from 1 ms, which a module takes, to a minute.
 * Safe for use by several threads.
 */
final class DurationHistogram {
  /** The upper bounds of the ranges in seconds; the last range has none. */
  private static final double[] BOUNDS = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60
  };

  private static final double NANOS_PER_SECOND = 1e9;

  private final AtomicLongArray counts = new AtomicLongArray(BOUNDS.length + 1);
  private final LongAdder nanos = new LongAdder();

  void add(long durationNanos) {
    double seconds = durationNanos / NANOS_PER_SECOND;
    int range = 0;
    while (range < BOUNDS.length && seconds > BOUNDS[range]) {
      range++;
    }
    counts.incrementAndGet(range);
    nanos.add(durationNanos);
  }

  /**
   * The counts at one moment.
   *
   * @param cumulative for each bound, how many durations were not longer; the last is the number of
   *     all
   * @param seconds the sum of all durations
   */
  @SuppressWarnings("ArrayRecordComponent") // compared nowhere
  record Snapshot(long[] cumulative, double seconds) {
    /** Returns the upper bound of a range in seconds; infinity for the last. */
    double bound(int index) {
      return index < BOUNDS.length ? BOUNDS[index] : Double.POSITIVE_INFINITY;
    }

    long count() {
      return cumulative[cumulative.length - 1];
    }
  }

  Snapshot snapshot() {
    long[] cumulative = new long[counts.length()];
    long sum = 0;
    for (int i = 0; i < cumulative.length; i++) {
      sum += counts.get(i);
      cumulative[i] = sum;
    }
    return new Snapshot(cumulative, nanos.sum() / NANOS_PER_SECOND);
  }
}
