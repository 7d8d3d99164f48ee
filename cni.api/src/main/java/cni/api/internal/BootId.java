package cni.api.internal;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The identity of the current boot. Interfaces, addresses and rules do not survive a reboot; state
 * files do, and then describe what no longer exists.
 */
public final class BootId {
  /** A random UUID that the kernel generates once per boot (random(4)). */
  private static final Path BOOT_ID = Path.of("/proc/sys/kernel/random/boot_id");

  private static final Path STAT = Path.of("/proc/stat");

  private static final String BOOT_TIME_KEY = "btime ";

  /**
   * How much older than the boot a file must be to be known to precede it. The kernel computes the
   * boot time from the present time, so that it moves when the clock is set, but the times of files
   * do not: a file written after the boot and before a time server corrected the clock seems to be
   * older than it is.
   */
  private static final Duration CLOCK_CORRECTION = Duration.ofHours(1);

  private BootId() {}

  /** Returns the id of this boot; absent if the kernel does not show it, without /proc. */
  public static Optional<String> current() {
    return Current.ID;
  }

  /**
   * Returns whether a file was last modified before this boot. A file that is less than an hour
   * older than the boot counts as of this boot, because the clock may have been corrected since.
   *
   * @param modified when the file was last modified
   */
  public static boolean isBeforeBoot(Instant modified) {
    return bootTime().filter(modified.plus(CLOCK_CORRECTION)::isBefore).isPresent();
  }

  /**
   * Returns the time of the boot as the kernel computes it now, which moves when the clock is set;
   * absent without /proc.
   */
  public static Optional<Instant> bootTime() {
    try (Stream<String> lines = Files.lines(STAT)) {
      return lines
          .filter(line -> line.startsWith(BOOT_TIME_KEY))
          .map(line -> Long.parseLong(line.substring(BOOT_TIME_KEY.length()).strip()))
          .map(Instant::ofEpochSecond)
          .findFirst();
    } catch (IOException | RuntimeException e) { // lines wraps an IOException
      return Optional.empty();
    }
  }

  /** Read at first use: the id is the same as long as this process lives. */
  private static final class Current {
    static final Optional<String> ID = read();

    private static Optional<String> read() {
      try {
        return Optional.of(Files.readString(BOOT_ID).strip()).filter(id -> !id.isEmpty());
      } catch (IOException e) {
        return Optional.empty();
      }
    }
  }
}
