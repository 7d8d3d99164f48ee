package cni.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;

/** Many threads that begin at once. */
final class ParallelRun {
  private ParallelRun() {}

  /**
   * Does the work for the numbers from 0 to count - 1.
   *
   * @return from the first beginning to the last end, in nanoseconds
   */
  static long run(int threads, int count, Timings.Operation work) throws Exception {
    var next = new AtomicInteger();
    var start = new CountDownLatch(1);
    try (ExecutorService executor = Executors.newFixedThreadPool(threads)) {
      List<Future<?>> ends = new ArrayList<>();
      for (int i = 0; i < threads; i++) {
        ends.add(
            executor.submit(
                () -> {
                  start.await();
                  for (int it = next.getAndIncrement(); it < count; it = next.getAndIncrement()) {
                    work.run(it);
                  }
                  return true;
                }));
      }
      long begun = System.nanoTime();
      start.countDown();
      for (Future<?> end : ends) {
        end.get();
      }
      return System.nanoTime() - begun;
    }
  }
}
