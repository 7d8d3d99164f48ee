// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
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
   * The mount points that are mounted first. Their modification times are stamped at the mount, in
   * proc_get_inode of fs/proc/inode.c and kernfs_init_inode of fs/kernfs/inode.c, and do not change
   * when the clock is set. All mounts of /sys in one network namespace have the same inode, so a
   * container in the host's network namespace sees the time of the host's first mount.
   */
  private static final List<Path> FIRST_MOUNTS = List.of(Path.of("/proc"), Path.of("/sys"));

  private BootId() {}

  /** Returns the id of this boot; absent if the kernel does not show it, without /proc. */
  public static Optional<String> current() {
    return Current.ID;
  }

  /** Returns whether a file that was last modified at that time precedes this boot. */
  public static boolean isBeforeBoot(Instant modified) {
    return bootTime().filter(modified::isBefore).isPresent();
  }

  /**
   * Returns a time that no file written in this boot is older than; absent without /proc. It is the
   * earliest of two kinds of time, because the clock may be set during the boot, by a time server,
   * for want of a battery-backed clock, or after a suspension by the hypervisor:
   *
   * <ul>
   *   <li>The boot time of the kernel, which is computed from the present time. If the clock has
   *       been set forward since the boot, it is later than files that were written before that.
   *   <li>The times of the first mounts. If the clock has been set back since the boot, they are
   *       later than files that were written after that.
   * </ul>
   *
   * <p>A machine whose clock starts at 1970 has a boot time in 1970: no file precedes it.
   */
  public static Optional<Instant> bootTime() {
    try {
      List<Instant> times = new ArrayList<>();
      times.add(computedBootTime());
      for (Path mount : FIRST_MOUNTS) {
        times.add(Files.getLastModifiedTime(mount).toInstant());
      }
      return Optional.of(Collections.min(times));
    } catch (IOException | RuntimeException e) { // lines wraps an IOException
      return Optional.empty();
    }
  }

  private static Instant computedBootTime() throws IOException {
    try (Stream<String> lines = Files.lines(STAT)) {
      return lines
          .filter(line -> line.startsWith(BOOT_TIME_KEY))
          .map(line -> Long.parseLong(line.substring(BOOT_TIME_KEY.length()).strip()))
          .map(Instant::ofEpochSecond)
          .findFirst()
          .orElseThrow();
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
