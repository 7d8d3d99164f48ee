// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LatencyHistogramTest {
  private final LatencyHistogram histogram = new LatencyHistogram();

  @Test
  void isZeroWithoutDurations() {
    assertEquals(0, histogram.percentile(0.5));
  }

  @Test
  void percentilesAreThoseOfTheDurations() {
    for (int i = 1; i <= 1000; i++) {
      histogram.add(i);
    }
    assertWithin12Percent(500, histogram.percentile(0.5));
    assertWithin12Percent(990, histogram.percentile(0.99));
    assertWithin12Percent(1000, histogram.percentile(1));
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 7, 8, 15, 16, 17, 1_000, 999_999, 1L << 40, Long.MAX_VALUE})
  void oneDurationIsEveryPercentile(long micros) {
    histogram.add(micros);
    assertWithin12Percent(micros, histogram.percentile(0.01));
    assertWithin12Percent(micros, histogram.percentile(0.99));
  }

  private static void assertWithin12Percent(long expected, long actual) {
    assertTrue(actual >= expected, () -> actual + " is less than " + expected);
    assertTrue(actual - expected <= expected * 0.125, () -> actual + " is not " + expected);
  }
}
