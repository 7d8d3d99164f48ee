package cni.bench;

import java.util.Arrays;
import java.util.List;

/**
 * How long something took, each time that it was done.
 *
 * @param sorted in nanoseconds, shortest first; at least one
 */
record Timing(List<Long> sorted) {
  /** Something that is timed. */
  interface Work {
    void run(int index) throws Exception;
  }

  static Timing of(long... nanos) {
    return new Timing(Arrays.stream(nanos).sorted().boxed().toList());
  }

  /** Does it for the numbers from 0 to count - 1, one after the other. */
  static Timing measure(int count, Work work) throws Exception {
    long[] nanos = new long[count];
    for (int i = 0; i < count; i++) {
      long begun = System.nanoTime();
      work.run(i);
      nanos[i] = System.nanoTime() - begun;
    }
    return of(nanos);
  }

  /** Both together. */
  Timing plus(Timing other) {
    return of(
        java.util.stream.LongStream.concat(
                sorted.stream().mapToLong(Long::longValue),
                other.sorted.stream().mapToLong(Long::longValue))
            .toArray());
  }

  /** In milliseconds; half of the times are shorter. */
  double median() {
    return quantile(0.5);
  }

  /** In milliseconds. */
  double quantile(double fraction) {
    int index = (int) Math.min(sorted.size() - 1, fraction * sorted.size());
    return sorted.get(index) / 1e6;
  }
}
