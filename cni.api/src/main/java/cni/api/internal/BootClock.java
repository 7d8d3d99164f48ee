// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/**
 * The time since the machine booted, including suspension (CLOCK_BOOTTIME, from /proc/uptime): it
 * is never adjusted and is the same in all processes, so times survive in files.
 */
public final class BootClock {
  private static final Path UPTIME = Path.of("/proc/uptime");

  private BootClock() {}

  /** Returns the time since boot. */
  public static Duration now() {
    String seconds;
    try {
      seconds = Files.readString(UPTIME).split(" ", -1)[0];
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return Duration.ofMillis(new BigDecimal(seconds).movePointRight(3).longValue());
  }

  /**
   * Returns the id of this boot. Times of another boot cannot be compared with those of this one.
   */
  public static String bootId() {
    return BootId.current().orElseThrow(); // without /proc, now() fails too
  }
}
