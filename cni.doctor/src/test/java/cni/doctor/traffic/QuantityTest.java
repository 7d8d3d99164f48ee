// SPDX-License-Identifier: Apache-2.0
package cni.doctor.traffic;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QuantityTest {
  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "0.4, 0",
    "999, 999",
    "999.6, 1.0k",
    "1000, 1.0k",
    "9949, 9.9k",
    "9951, 10k",
    "999499, 999k",
    "999500, 1.0M",
    "1.5e9, 1.5G",
    "18446744073709551615, 18E",
    "1e22, 10000E"
  })
  void numbersHaveAtMostThreeDigits(double value, String expected) {
    assertEquals(expected, Quantity.decimal(value));
  }

  @ParameterizedTest
  @CsvSource({
    "-5, 0s",
    "119, 119s",
    "120, 2m",
    "7199, 119m",
    "7200, 2h",
    "172799, 47h",
    "172800, 2d"
  })
  void agesHaveOneUnit(long seconds, String expected) {
    assertEquals(expected, Quantity.age(Duration.ofSeconds(seconds)));
  }

  @ParameterizedTest
  @CsvSource({"0, B, 0\u00a0B", "1542, B, 1.5\u00a0kB", "1e8, bit/s, 100\u00a0Mbit/s"})
  void unitsFollowASpaceThatDoesNotBreak(double value, String unit, String expected) {
    assertEquals(expected, Quantity.withUnit(value, unit));
  }
}
