// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class ConflictHistoryTest {
  private static final long MINUTE = ConflictHistory.REPORT_INTERVAL.toNanos();
  private static final String MAC = "c2:00:00:00:00:01";
  private static final String OTHER_MAC = "c2:00:00:00:00:02";

  private final ConflictHistory<String> history = new ConflictHistory<>();

  private boolean report(String address, String mac, long now) {
    boolean due = history.isDue(address, mac, now);
    if (due) {
      history.record(address, mac, now);
    }
    return due;
  }

  @Test
  void hardwareAddressIsReportedOncePerAddress() {
    assertTrue(report("10.0.0.1", MAC, 0));
    assertFalse(report("10.0.0.1", MAC, 1));
    assertFalse(report("10.0.0.1", MAC, 10 * MINUTE));
    assertTrue(report("10.0.0.2", MAC, 1));
  }

  @Test
  void otherHardwareAddressIsReportedAfterAMinute() {
    assertTrue(report("10.0.0.1", MAC, 0));
    assertFalse(report("10.0.0.1", OTHER_MAC, MINUTE - 1));
    assertTrue(report("10.0.0.1", OTHER_MAC, MINUTE));
  }

  @Test
  void floodOfHardwareAddressesIsReportedOncePerMinute() {
    int reports = 0;
    for (int second = 0; second < 600; second++) {
      for (int i = 0; i < 100; i++) {
        String mac = "c2:00:00:00:%02x:%02x".formatted(second % 256, i);
        reports += report("10.0.0.1", mac, second * MINUTE / 60) ? 1 : 0;
      }
    }
    assertEquals(10, reports);
  }

  /** System.nanoTime may be negative and may overflow. */
  @Test
  void timeMayOverflow() {
    assertTrue(report("10.0.0.1", MAC, Long.MAX_VALUE));
    assertFalse(report("10.0.0.1", OTHER_MAC, Long.MIN_VALUE));
    assertTrue(report("10.0.0.1", OTHER_MAC, Long.MIN_VALUE + MINUTE));
  }
}
