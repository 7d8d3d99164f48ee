// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import org.junit.jupiter.api.Test;

class BootIdTest {
  private static Instant modified(String file) throws IOException {
    return Files.getLastModifiedTime(Path.of(file)).toInstant();
  }

  /** Where the clock has been set forward since the boot, only the mounts show the boot. */
  @Test
  void noFileOfThisBootPrecedesIt() throws Exception {
    assertFalse(BootId.isBeforeBoot(Instant.now()));
    assertFalse(BootId.isBeforeBoot(modified("/proc")));
    assertFalse(BootId.isBeforeBoot(modified("/sys")));
  }

  /** Where the clock has been set back since the boot, the mounts are later than that. */
  @Test
  void bootIsNotLaterThanTheKernelComputesIt() throws Exception {
    String uptime = Files.readString(Path.of("/proc/uptime")).split(" ", -1)[0];
    Instant computed = Instant.now().minusMillis((long) (1000 * Double.parseDouble(uptime)));
    assertFalse(BootId.bootTime().orElseThrow().isAfter(computed.plusMillis(500)));
  }

  @Test
  void fileOfAnEarlierBootPrecedesIt() throws Exception {
    assertTrue(BootId.isBeforeBoot(BootId.bootTime().orElseThrow().minusNanos(1)));
    assertEquals(
        Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip(),
        BootId.current().orElseThrow());
  }
}
