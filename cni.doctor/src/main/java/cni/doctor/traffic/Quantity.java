package cni.doctor.traffic;

import java.time.Duration;
import java.util.Locale;

/** Short forms of numbers for people. */
public final class Quantity {
  private static final String PREFIXES = " kMGTPE";
  private static final int STEP = 1000;
  private static final int MINUTE = 60;
  private static final int HOUR = 60 * MINUTE;
  private static final int DAY = 24 * HOUR;

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

  /** Returns a duration in its largest unit: 12s, 3m, 5h, 2d. */
  public static String age(Duration duration) {
    long seconds = Math.max(0, duration.toSeconds());
    if (seconds < MINUTE) {
      return seconds + "s";
    }
    if (seconds < HOUR) {
      return seconds / MINUTE + "m";
    }
    return seconds < DAY ? seconds / HOUR + "h" : seconds / DAY + "d";
  }
}
