// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * The durations of repeated runs of an operation.
 *
 * @param sortedNanos in nanoseconds, in ascending order; at least one
 */
record Timings(List<Long> sortedNanos) {
  /** The measured operation. */
  interface Operation {
    void run(int index) throws Exception;
  }

  static Timings of(long... nanos) {
    return new Timings(Arrays.stream(nanos).sorted().boxed().toList());
  }

  /** Runs the operation for each index from 0 to count - 1 in order. */
  static Timings measure(int count, Operation operation) throws Exception {
    long[] nanos = new long[count];
    for (int i = 0; i < count; i++) {
      long start = System.nanoTime();
      operation.run(i);
      nanos[i] = System.nanoTime() - start;
    }
    return of(nanos);
  }

  /** Returns the durations of both. */
  Timings concat(Timings other) {
    return new Timings(
        Stream.concat(sortedNanos.stream(), other.sortedNanos.stream()).sorted().toList());
  }

  /** Returns the median, in milliseconds. */
  double medianMillis() {
    return quantileMillis(0.5);
  }

  /** Returns the duration that a fraction of the runs does not exceed, in milliseconds. */
  double quantileMillis(double fraction) {
    int index = (int) Math.min(sortedNanos.size() - 1, fraction * sortedNanos.size());
    return sortedNanos.get(index) / 1e6;
  }
}
