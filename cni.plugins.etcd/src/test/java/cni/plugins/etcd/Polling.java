// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.concurrent.Callable;

/** Waits for a condition by evaluating it repeatedly. */
final class Polling {
  /** Ample, so that a test does not fail because the machine is loaded. */
  private static final Duration TIMEOUT = Duration.ofSeconds(30);

  private static final Duration INTERVAL = Duration.ofMillis(50);

  private Polling() {}

  /**
   * Waits until a condition is true, and fails the test if that takes more than half a minute.
   *
   * @param what the condition, for the message of the failure
   */
  static void await(String what, Callable<Boolean> condition) throws Exception {
    long start = System.nanoTime();
    while (!condition.call()) {
      assertTrue(System.nanoTime() - start < TIMEOUT.toNanos(), () -> "timeout: " + what);
      Thread.sleep(INTERVAL);
    }
  }
}
