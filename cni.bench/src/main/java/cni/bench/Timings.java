package cni.bench;

import java.util.Arrays;
import java.util.List;

/**
 * How long something took, each time that it was done.
 *
 * @param sortedNanos in nanoseconds, shortest first; at least one
 */
record Timings(List<Long> sortedNanos) {
  /** Something that is timed. */
  interface Operation {
    void run(int index) throws Exception;
  }

  static Timings of(long... nanos) {
    return new Timings(Arrays.stream(nanos).sorted().boxed().toList());
  }

  /** Does it for the numbers from 0 to count - 1, one after the other. */
  static Timings measure(int count, Operation work) throws Exception {
    long[] nanos = new long[count];
    for (int i = 0; i < count; i++) {
      long begun = System.nanoTime();
      work.run(i);
      nanos[i] = System.nanoTime() - begun;
    }
    return of(nanos);
  }

  /** Both together. */
  Timings concat(Timings other) {
    return of(
        java.util.stream.LongStream.concat(
                sortedNanos.stream().mapToLong(Long::longValue),
                other.sortedNanos.stream().mapToLong(Long::longValue))
            .toArray());
  }

  /** In milliseconds; half of the times are shorter. */
  double medianMillis() {
    return quantileMillis(0.5);
  }

  /** In milliseconds. */
  double quantileMillis(double fraction) {
    int index = (int) Math.min(sortedNanos.size() - 1, fraction * sortedNanos.size());
    return sortedNanos.get(index) / 1e6;
  }
}
