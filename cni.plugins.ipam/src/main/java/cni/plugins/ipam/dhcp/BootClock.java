package cni.plugins.ipam.dhcp;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/**
 * The time since the machine was started, the time that it slept included: nobody sets this clock,
 * and every process of the machine has the same.
 */
final class BootClock {
  private static final Path UPTIME = Path.of("/proc/uptime");

  /** As long as a process runs, it is the same. */
  private static final String BOOT_ID = read(Path.of("/proc/sys/kernel/random/boot_id")).strip();

  private BootClock() {}

  /** Now. */
  static Duration now() {
    String seconds = read(UPTIME).split(" ", -1)[0];
    return Duration.ofMillis(new BigDecimal(seconds).movePointRight(3).longValue());
  }

  /** What tells this start of the machine from others. */
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
