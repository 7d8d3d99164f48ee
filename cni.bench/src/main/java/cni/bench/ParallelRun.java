// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;

/** Runs an operation on several threads that start together. */
final class ParallelRun {
  private ParallelRun() {}

  /**
   * Runs the operation for each index from 0 to count - 1, in any order.
   *
   * @return the nanoseconds from the start of the first to the end of the last
   */
  static long run(int threads, int count, Timings.Operation operation) throws Exception {
    var next = new AtomicInteger();
    var ready = new CountDownLatch(1);
    try (ExecutorService executor = Executors.newFixedThreadPool(threads)) {
      List<Future<?>> ends = new ArrayList<>();
      for (int i = 0; i < threads; i++) {
        ends.add(
            executor.submit(
                () -> {
                  ready.await();
                  int index = next.getAndIncrement();
                  while (index < count) {
                    operation.run(index);
                    index = next.getAndIncrement();
                  }
                  return true;
                }));
      }
      long start = System.nanoTime();
      ready.countDown();
      for (Future<?> end : ends) {
        end.get();
      }
      return System.nanoTime() - start;
    }
  }
}
