// SPDX-License-Identifier: Apache-2.0
package cni.doctor.traffic;

import java.time.Duration;
import java.util.Locale;

/** Short forms of numbers for people. */
public final class Quantity {
  private static final String PREFIXES = " kMGTPE";
  private static final int STEP = 1000;

  private Quantity() {}

  /** Returns a number with a decimal prefix and at most three digits: 0, 999, 1.2k, 34M. */
  public static String decimal(double value) {
    return scale(value, "");
  }

  /**
   * Returns a number with a decimal prefix and a unit, such as {@code 1.2 kB}; it does not break.
   */
  public static String withUnit(double value, String unit) {
    return scale(value, "\u00a0") + unit;
  }

  /** Returns a number, as {@link #decimal(double)} does. */
  public static String decimal(long value) {
    return decimal((double) value);
  }

  /** Returns a number with a unit, as {@link #withUnit(double, String)} does. */
  public static String withUnit(long value, String unit) {
    return withUnit((double) value, unit);
  }

  private static String scale(double value, String space) {
    int prefix = 0;
    double scaled = value;
    while (scaled >= STEP - 0.5 && prefix < PREFIXES.length() - 1) {
      scaled /= STEP;
      prefix++;
    }
    boolean hasFraction = prefix > 0 && scaled < 9.95;
    return String.format(Locale.ROOT, hasFraction ? "%.1f" : "%.0f", scaled)
        + space
        + PREFIXES.substring(prefix, prefix + 1).strip();
  }

  /** Returns a duration in the largest unit that it has at least two of: 12s, 90m, 47h, 2d. */
  public static String age(Duration duration) {
    if (duration.toDays() >= 2) {
      return duration.toDays() + "d";
    }
    if (duration.toHours() >= 2) {
      return duration.toHours() + "h";
    }
    return duration.toMinutes() >= 2
        ? duration.toMinutes() + "m"
        : Math.max(0, duration.toSeconds()) + "s";
  }
}
