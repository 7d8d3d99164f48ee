// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class RepairBackoffTest {
  private static final long SECOND = Duration.ofSeconds(1).toNanos();

  @Test
  void theDelayDoublesUpToFiveMinutes() {
    RepairBackoff backoff = RepairBackoff.first(0);
    assertEquals(Duration.ofSeconds(1), backoff.delay());
    assertFalse(backoff.isFight());
    backoff = backoff.next(backoff.nextRepair()).next(5 * SECOND);
    assertEquals(Duration.ofSeconds(4), backoff.delay());
    assertTrue(backoff.isFight());
    for (int i = 0; i < 40; i++) {
      backoff = backoff.next(backoff.nextRepair());
    }
    assertEquals(Duration.ofMinutes(5), backoff.delay());
  }

  @Test
  void anAttachmentThatHasLastedStartsAnew() {
    RepairBackoff backoff = RepairBackoff.first(0).next(SECOND).next(2 * SECOND);
    assertEquals(Duration.ofSeconds(1), backoff.next(19 * SECOND).delay());
    assertEquals(Duration.ofSeconds(8), backoff.next(18 * SECOND).delay());
  }
}
