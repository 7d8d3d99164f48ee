// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class CallContextTest {
  private static final Duration SLACK = Duration.ofSeconds(2);

  private static void assertCleanupTime(Duration expected, Deadline deadline) {
    var context =
        new CallContext(
            Optional.empty(),
            deadline,
            type -> {
              throw new CniException(ErrorCode.INTERNAL, type);
            });
    Duration time = context.forCleanup().deadline().remaining();
    assertTrue(time.compareTo(expected) <= 0, time::toString);
    assertTrue(time.compareTo(expected.minus(SLACK)) > 0, time::toString);
  }

  @Test
  void cleanupHasTheRestOfTheTimeWithinBounds() {
    assertCleanupTime(Duration.ofSeconds(10), Deadline.after(Duration.ZERO));
    assertCleanupTime(Duration.ofSeconds(20), Deadline.after(Duration.ofSeconds(20)));
    assertCleanupTime(Duration.ofSeconds(30), Deadline.after(Duration.ofMinutes(2)));
    assertCleanupTime(Duration.ofSeconds(30), Deadline.none());
  }
}
