// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

class KeyedLocksTest {
  private static final Duration SHORT_TIMEOUT = Duration.ofMillis(20);

  private final KeyedLocks<String> locks = new KeyedLocks<>();

  private boolean canAcquireElsewhere(String key) {
    return CompletableFuture.supplyAsync(
            () -> {
              try {
                var held = locks.tryAcquire(key, SHORT_TIMEOUT);
                held.ifPresent(KeyedLocks.Held::close);
                return held.isPresent();
              } catch (InterruptedException e) {
                throw new IllegalStateException(e);
              }
            })
        .join();
  }

  @Test
  void lockExcludesOtherThreadsFromItsKeyAlone() {
    try (var _ = locks.acquire("a")) {
      assertTrue(!canAcquireElsewhere("a"));
      assertTrue(canAcquireElsewhere("b"));
      assertEquals(1, locks.size());
    }
    assertTrue(canAcquireElsewhere("a"));
    assertEquals(0, locks.size());
  }

  @Test
  void interruptedThreadDoesNotAcquireAndLeavesNoLock() {
    Thread.currentThread().interrupt();
    assertThrows(InterruptedException.class, () -> locks.tryAcquire("a", SHORT_TIMEOUT));
    assertEquals(0, locks.size());
  }

  @Test
  void awaitIdleReturnsAtItsTimeoutOrWhenTheLastLockIsReleased() {
    var held = locks.acquire("a");
    locks.awaitIdle(SHORT_TIMEOUT);
    assertEquals(1, locks.size());
    held.close();
    locks.awaitIdle(Duration.ofMinutes(1));
    assertEquals(0, locks.size());
  }
}
