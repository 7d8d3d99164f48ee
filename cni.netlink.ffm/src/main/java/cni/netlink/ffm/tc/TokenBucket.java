// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.tc;

/**
 * The parameters of a token bucket filter, tc-tbf(8). {@code limit} and {@code buffer} are unsigned
 * 32-bit numbers.
 *
 * @param rate the average rate in bytes per second
 * @param limit the length of the queue in bytes
 * @param buffer the burst, as the time in ticks that it takes at the rate
 */
public record TokenBucket(long rate, int limit, int buffer) {
  /** A tick is 64 ns in every kernel since 2.6.31 (PSCHED_SHIFT; /proc/net/psched). */
  private static final double TICKS_PER_MICROSECOND = 15.625;

  private static final double MICROS_PER_SECOND = 1_000_000;

  /** The time that a packet may wait in the queue. */
  private static final double LATENCY_MICROS = 25_000;

  /**
   * Returns the parameters for a rate and a burst, computed as the reference plugin does: the queue
   * holds the burst and the bytes that can be sent within 25 ms. Numbers that do not fit into 32
   * bits wrap around, as in the reference plugin.
   *
   * @param rateBits in bits per second, at least 8
   * @param burstBits in bits, less than 8 times 2^32
   */
  public static TokenBucket of(long rateBits, long burstBits) {
    long rate = rateBits / 8;
    long burst = burstBits / 8;
    return new TokenBucket(
        rate,
        (int) (long) (rate * LATENCY_MICROS / MICROS_PER_SECOND) + (int) burst,
        ticks(rate, burst));
  }

  /** Returns the time in ticks that a number of bytes takes at a rate in bytes per second. */
  static int ticks(long rate, long bytes) {
    long micros = (long) (bytes * MICROS_PER_SECOND / rate) & 0xffff_ffffL;
    return (int) (long) (micros * TICKS_PER_MICROSECOND);
  }

  /**
   * Returns the parameters in text, with limit and buffer as the unsigned numbers that they are.
   */
  @Override
  public String toString() {
    return "%d bytes/s (limit %s bytes, buffer %s ticks)"
        .formatted(rate, Integer.toUnsignedString(limit), Integer.toUnsignedString(buffer));
  }
}
