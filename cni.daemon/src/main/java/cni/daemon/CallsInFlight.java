// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/** The calls that have been accepted and not answered yet. Thread-safe. */
final class CallsInFlight {
  private final Map<Long, CallerConnection> calls = new ConcurrentHashMap<>();
  private final AtomicInteger bytes = new AtomicInteger();

  void add(CallerConnection caller) {
    calls.put(caller.number(), caller);
    bytes.addAndGet(caller.receivedBytes());
  }

  /** Removes a call that has ended, or does not begin. */
  void remove(CallerConnection caller) {
    if (calls.remove(caller.number(), caller)) {
      bytes.addAndGet(-caller.receivedBytes());
    }
  }

  Optional<CallerConnection> find(long number) {
    return Optional.ofNullable(calls.get(number));
  }

  int count() {
    return calls.size();
  }

  /** Returns the number of bytes of all their requests. */
  int bytes() {
    return bytes.get();
  }

  /**
   * Interrupts the calls whose callers have gone once more, if it is time to: code between may have
   * consumed an interrupt.
   *
   * @return whether there are such calls
   */
  boolean repeatInterrupts() {
    boolean any = false;
    for (CallerConnection call : calls.values()) {
      if (call.isWithdrawn()) {
        call.withdraw();
        any = true;
      }
    }
    return any;
  }

  /** Waits until all calls have ended; returns false after the timeout. */
  boolean awaitEnd(Duration timeout) {
    return await(timeout, () -> {});
  }

  /** Interrupts all calls until they have ended; returns false after the timeout. */
  boolean interruptAll(Duration timeout) {
    return await(timeout, () -> calls.values().forEach(CallerConnection::withdraw));
  }

  private boolean await(Duration timeout, Runnable action) {
    long end = System.nanoTime() + timeout.toNanos();
    while (!calls.isEmpty() && System.nanoTime() - end < 0) {
      action.run();
      CallThreads.pause();
    }
    return calls.isEmpty();
  }
}
