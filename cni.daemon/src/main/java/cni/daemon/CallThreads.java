// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * The threads of calls: platform threads, because a virtual thread that calls the kernel keeps its
 * carrier, and some calls wait there. {@link CallQueue} bounds their number.
 */
final class CallThreads {
  private static final Duration IDLE_TIME = Duration.ofSeconds(3);
  private static final Duration PAUSE = Duration.ofMillis(20);

  private CallThreads() {}

  static ExecutorService create() {
    ThreadFactory factory = Thread.ofPlatform().daemon().name("cni-call-", 1).factory();
    return new ThreadPoolExecutor(
        0,
        Integer.MAX_VALUE,
        IDLE_TIME.toSeconds(),
        TimeUnit.SECONDS,
        new SynchronousQueue<>(),
        factory);
  }

  /** Lets a little time pass, interrupted or not. */
  static void pause() {
    LockSupport.parkNanos(PAUSE.toNanos());
  }
}
