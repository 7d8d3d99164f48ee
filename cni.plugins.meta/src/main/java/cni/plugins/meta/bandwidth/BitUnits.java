// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.bandwidth;

import cni.netlink.ffm.tc.HtbClass;
import cni.netlink.ffm.tc.TokenBucket;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.List;

/**
 * Limits in the units of the configuration, bits and bits per second. The kernel has bytes per
 * second, and bursts as the time that they take at the rate.
 */
final class BitUnits {
  private static final int BITS = 8;
  private static final int DECIMALS = 3;

  /** The length of a tick of the kernel in nanoseconds (PSCHED_SHIFT, /proc/net/psched). */
  private static final long TICK_NANOS = 64;

  private static final double NANOS_PER_SECOND = 1e9;

  private static final List<String> PREFIXES = List.of("G", "M", "k");
  private static final long GIGA = 1_000_000_000;

  private BitUnits() {}

  /** Returns a rate in bits per second: {@code 10 Mbit/s}. */
  static String rate(long bitsPerSecond) {
    return bits(bitsPerSecond) + "/s";
  }

  /** Returns a number of bits, with at most three decimals: {@code 1.5 Gbit}. */
  static String bits(long number) {
    long factor = GIGA;
    for (String prefix : PREFIXES) {
      if (number >= factor) {
        BigDecimal rounded =
            BigDecimal.valueOf(number)
                .divide(BigDecimal.valueOf(factor), DECIMALS, RoundingMode.HALF_UP)
                .stripTrailingZeros();
        return rounded.toPlainString() + " " + prefix + "bit";
      }
      factor /= 1000;
    }
    return number + " bit";
  }

  /** Returns the limit of a token bucket: {@code 10 Mbit/s with a burst of 1 Mbit}. */
  static String describe(TokenBucket bucket) {
    return limit(bucket.rate(), bucket.buffer());
  }

  /** Returns the limit of a class, as {@link #describe(TokenBucket)}. */
  static String describe(HtbClass shaped) {
    return limit(shaped.rate(), shaped.buffer());
  }

  /** Returns the length of a token bucket's queue, which follows from its limit. */
  static String queue(TokenBucket bucket) {
    return bits(BITS * Integer.toUnsignedLong(bucket.limit()));
  }

  private static String limit(long bytesPerSecond, int ticks) {
    double seconds = Integer.toUnsignedLong(ticks) * TICK_NANOS / NANOS_PER_SECOND;
    return "%s with a burst of %s"
        .formatted(rate(BITS * bytesPerSecond), bits(Math.round(BITS * bytesPerSecond * seconds)));
  }
}
