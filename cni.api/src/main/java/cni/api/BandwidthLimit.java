// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * The limits of what a container receives and sends: the capability {@code bandwidth}
 * (CONVENTIONS.md, "bandwidth limits"), and the text form that {@code cni add --bandwidth} takes.
 *
 * @param ingress the limit of what the container receives; absent for no limit
 * @param egress the limit of what the container sends; absent for no limit
 */
public record BandwidthLimit(Optional<Rate> ingress, Optional<Rate> egress) {
  /** Checks that no argument is null. */
  public BandwidthLimit {
    requireNonNull(ingress, "ingress");
    requireNonNull(egress, "egress");
  }

  /** The largest burst whose number of bytes fits the 32 bits that the kernel has for it. */
  private static final long MAX_BURST_BITS = 8 * 0xffff_ffffL - 1;

  /**
   * The kernel keeps a burst as the time that it takes at the rate, in microseconds, and refuses
   * none (tbf_change in net/sched/sch_tbf.c: EINVAL for a buffer of no bytes).
   */
  private static final long MAX_BURSTS_PER_SECOND = 1_000_000;

  /** The largest packet that a container with segmentation offload sends, in bits. */
  private static final long LARGEST_PACKET_BITS = 8 * 65_536;

  /** The part of a second whose traffic may be sent at once if no burst is given. */
  private static final int DEFAULT_BURSTS_PER_SECOND = 10;

  private static final String UNITS = "kMGT";

  /**
   * The limit of a direction.
   *
   * @param bitsPerSecond the average rate, at least 8
   * @param burstBits how many bits may be sent at once after a pause, from 8 to 34359738359; at
   *     least what the rate sends in a microsecond
   */
  public record Rate(long bitsPerSecond, long burstBits) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one is out of range
     */
    public Rate {
      if (bitsPerSecond < 8 || burstBits < 8 || burstBits > MAX_BURST_BITS) {
        throw new IllegalArgumentException(
            "a limit of %d bit/s with a burst of %d bits is out of range; both must be at least 8, and the burst at most %d"
                .formatted(bitsPerSecond, burstBits, MAX_BURST_BITS));
      }
      if (isTooShort(bitsPerSecond, burstBits)) {
        throw new IllegalArgumentException(tooShort(bitsPerSecond, burstBits));
      }
    }

    private static boolean isTooShort(long bitsPerSecond, long burstBits) {
      return bitsPerSecond / 8 > burstBits / 8 * MAX_BURSTS_PER_SECOND;
    }

    private static String tooShort(long bitsPerSecond, long burstBits) {
      return "a burst of %d bits takes less than a microsecond at %d bit/s, which the kernel cannot limit"
          .formatted(burstBits, bitsPerSecond);
    }

    /**
     * Returns the limit with the default burst: what the rate sends in 100 ms, but at least 65536
     * bytes, the largest packet.
     */
    public static Rate of(long bitsPerSecond) {
      return new Rate(bitsPerSecond, defaultBurst(bitsPerSecond));
    }

    private static long defaultBurst(long bitsPerSecond) {
      long burst = Math.max(bitsPerSecond / DEFAULT_BURSTS_PER_SECOND, LARGEST_PACKET_BITS);
      return Math.min(burst, MAX_BURST_BITS);
    }

    /** Returns the limit of one direction of a text; absent without a rate. */
    private static Optional<Rate> ofText(@Nullable Long rate, @Nullable Long givenBurst) {
      if (rate == null) {
        return Optional.empty();
      }
      long burst = givenBurst == null ? defaultBurst(rate) : givenBurst;
      if (isTooShort(rate, burst)) {
        throw new IllegalArgumentException("is out of range: " + tooShort(rate, burst));
      }
      return Optional.of(new Rate(rate, burst));
    }
  }

  /** Returns the same limit for both directions, with the default burst. */
  public static BandwidthLimit ofBoth(long bitsPerSecond) {
    Optional<Rate> rate = Optional.of(Rate.of(bitsPerSecond));
    return new BandwidthLimit(rate, rate);
  }

  /**
   * Parses a rate for both directions, {@code 10M}, or {@code in=10M,out=5M} with one of them or
   * both, where {@code in} is what the container receives. {@code burst=1M} sets the burst of both,
   * {@code in-burst} and {@code out-burst} that of one; without them it is as by {@link Rate#of}.
   *
   * <p>Numbers may have a fraction, a unit {@code k}, {@code M}, {@code G} or {@code T} (powers of
   * 1000), and {@code bit} at their end: {@code 1.5Gbit}. They are bits, and bits per second.
   *
   * @throws IllegalArgumentException if the text has another form; the message continues a sentence
   *     that begins with the text
   */
  public static BandwidthLimit parse(String text) {
    requireNonNull(text, "text");
    @Nullable Long in = null;
    @Nullable Long out = null;
    @Nullable Long inBurst = null;
    @Nullable Long outBurst = null;
    Set<String> keys = new HashSet<>();
    for (String part : text.split(",", -1)) {
      int equals = part.indexOf('=');
      String key = equals < 0 ? "" : part.substring(0, equals);
      long bits = parseBits(part.substring(equals + 1));
      if (!keys.add(key)) {
        throw new IllegalArgumentException(
            key.isEmpty()
                ? "has two rates for both directions; give one"
                : "has the key " + Json.quote(key) + " twice; keep one of them");
      }
      switch (key) {
        case "" -> {
          in = bits;
          out = bits;
        }
        case "in" -> in = bits;
        case "out" -> out = bits;
        case "burst" -> {
          inBurst = requireBurst(bits);
          outBurst = inBurst;
        }
        case "in-burst" -> inBurst = requireBurst(bits);
        case "out-burst" -> outBurst = requireBurst(bits);
        default ->
            throw new IllegalArgumentException(
                "has the key "
                    + Json.quote(key)
                    + "; known are in, out, burst, in-burst, out-burst");
      }
    }
    if (in == null && out == null) {
      throw new IllegalArgumentException("has no rate; give one, such as in=10M,burst=1M");
    }
    return new BandwidthLimit(Rate.ofText(in, inBurst), Rate.ofText(out, outBurst));
  }

  private static Long requireBurst(long bits) {
    if (bits > MAX_BURST_BITS) {
      throw new IllegalArgumentException("has a burst above " + MAX_BURST_BITS + " bits");
    }
    return bits;
  }

  private static long parseBits(String text) {
    String lower = text.toLowerCase(Locale.ROOT);
    String number = lower.endsWith("bit") ? lower.substring(0, lower.length() - 3) : lower;
    int unit = number.isEmpty() ? -1 : "kmgt".indexOf(number.charAt(number.length() - 1));
    String digits = unit < 0 ? number : number.substring(0, number.length() - 1);
    try {
      if (digits.isEmpty() || digits.length() > 20 || !isDecimal(digits)) {
        throw new NumberFormatException(digits);
      }
      long bits = new BigDecimal(digits).scaleByPowerOfTen(3 * (unit + 1)).longValueExact();
      if (bits >= 8) {
        return bits;
      }
    } catch (ArithmeticException | NumberFormatException e) {
      throw new IllegalArgumentException(notBits(text), e);
    }
    throw new IllegalArgumentException(notBits(text));
  }

  private static boolean isDecimal(String text) {
    boolean hasDigit = false;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      hasDigit |= c >= '0' && c <= '9';
      if (c != '.' && (c < '0' || c > '9')) {
        return false;
      }
    }
    return hasDigit;
  }

  private static String notBits(String text) {
    return "has the value "
        + Json.quote(text)
        + ", which is not a number of at least 8 bits, such as 500k, 10M or 1.5Gbit";
  }

  /**
   * Reads the keys {@code ingressRate}, {@code ingressBurst}, {@code egressRate} and {@code
   * egressBurst}. Zero counts as absent, as by the reference plugin.
   *
   * @param limits the argument of the capability, or a plugin's configuration with these keys
   * @throws CniException code 7 if a value is invalid, or a rate is without a burst or the reverse
   */
  public static BandwidthLimit read(ConfigObject limits) throws CniException {
    requireNonNull(limits, "limits");
    return new BandwidthLimit(readRate(limits, "ingress"), readRate(limits, "egress"));
  }

  private static Optional<Rate> readRate(ConfigObject limits, String direction)
      throws CniException {
    String rateKey = direction + "Rate";
    String burstKey = direction + "Burst";
    long rate = limits.longInteger(rateKey, 0, Long.MAX_VALUE).orElse(0);
    long burst = limits.longInteger(burstKey, 0, MAX_BURST_BITS).orElse(0);
    if (rate == 0 && burst == 0) {
      return Optional.empty();
    }
    if (burst == 0) {
      throw limits.invalid(
          rateKey, "needs " + burstKey + ", the number of bits that may be sent at once");
    }
    if (burst < 8) {
      throw limits.invalid(burstKey, "must be at least 8: its unit is bits");
    }
    if (rate < 8) {
      throw rate == 0
          ? limits.invalid(burstKey, "needs " + rateKey + ", the number of bits per second")
          : limits.invalid(rateKey, "must be at least 8: its unit is bits per second");
    }
    if (Rate.isTooShort(rate, burst)) {
      throw limits.invalid(
          burstKey,
          "is out of range for %s %d: ".formatted(rateKey, rate) + Rate.tooShort(rate, burst));
    }
    return Optional.of(new Rate(rate, burst));
  }

  /** Returns the argument of the capability {@code bandwidth}. */
  public ObjectNode toJson() {
    ObjectNode json = Json.object();
    put(json, "ingress", ingress);
    put(json, "egress", egress);
    return json;
  }

  private static void put(ObjectNode json, String direction, Optional<Rate> limit) {
    if (limit.isPresent()) {
      json.put(direction + "Rate", limit.get().bitsPerSecond());
      json.put(direction + "Burst", limit.get().burstBits());
    }
  }

  /** Returns the text that {@link #parse} takes: {@code in=10M,in-burst=1M}; empty for no limit. */
  @Override
  public String toString() {
    List<String> parts = new ArrayList<>();
    ingress.ifPresent(it -> format("in", it, parts));
    egress.ifPresent(it -> format("out", it, parts));
    return String.join(",", parts);
  }

  private static void format(String direction, Rate limit, List<String> parts) {
    parts.add(direction + "=" + formatBits(limit.bitsPerSecond()));
    parts.add(direction + "-burst=" + formatBits(limit.burstBits()));
  }

  private static String formatBits(long bits) {
    long number = bits;
    int unit = -1;
    while (number % 1000 == 0 && unit < UNITS.length() - 1) {
      number /= 1000;
      unit++;
    }
    return unit < 0 ? String.valueOf(number) : number + String.valueOf(UNITS.charAt(unit));
  }
}
