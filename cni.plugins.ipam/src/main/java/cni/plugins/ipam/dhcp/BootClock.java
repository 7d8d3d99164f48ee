package cni.plugins.ipam.dhcp;

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
final class BootClock {
  private static final Path UPTIME = Path.of("/proc/uptime");

  /** Constant while a process runs. */
  private static final String BOOT_ID = read(Path.of("/proc/sys/kernel/random/boot_id")).strip();

  private BootClock() {}

  /** Returns the time since boot. */
  static Duration now() {
    String seconds = read(UPTIME).split(" ", -1)[0];
    return Duration.ofMillis(new BigDecimal(seconds).movePointRight(3).longValue());
  }

  /**
   * Returns the id of this boot. Times of another boot cannot be compared with those of this one.
   */
  static String bootId() {
    return BOOT_ID;
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
