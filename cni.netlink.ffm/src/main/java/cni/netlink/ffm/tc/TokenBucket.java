package cni.netlink.ffm.tc;

/**
 * How fast a link may send: so many bytes a second on average, and so many at once.
 *
 * @param rate in bytes per second
 * @param limit how many bytes may wait
 * @param buffer how many bytes may go at once, as the time that they take at the rate, in ticks
 */
public record TokenBucket(long rate, int limit, int buffer) {
  /** A tick is 64 ns for every kernel since 2.6.31 (PSCHED_SHIFT; /proc/net/psched). */
  private static final double TICKS_PER_MICROSECOND = 15.625;

  private static final double MICROS_PER_SECOND = 1_000_000;

  /** How long a packet may wait, in microseconds. */
  private static final double LATENCY_MICROS = 25_000;

  /**
   * The bucket for a rate and a burst, computed as the reference plugin computes it: what is more
   * than can be sent within 25 ms is dropped. What does not fit into 32 bits wraps around, as
   * there.
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

  /** The time that so many bytes take at a rate, in ticks. */
  static int ticks(long rate, long bytes) {
    long micros = (long) (bytes * MICROS_PER_SECOND / rate) & 0xffff_ffffL;
    return (int) (long) (micros * TICKS_PER_MICROSECOND);
  }

  /** In the numbers of 32 bits without sign that they are. */
  @Override
  public String toString() {
    return "%d bytes/s (limit %s bytes, buffer %s ticks)"
        .formatted(rate, Integer.toUnsignedString(limit), Integer.toUnsignedString(buffer));
  }
}
