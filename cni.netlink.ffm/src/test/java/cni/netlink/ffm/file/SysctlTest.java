// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.file;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class SysctlTest {
  private static final String KEY = "net/ipv4/conf/eth0.5/arp_notify";

  @Test
  void keysUseSlashesSoInterfaceNamesMayContainDots() throws IOException {
    try (var files = Jimfs.newFileSystem(Configuration.unix())) {
      Path root = files.getPath("/proc/sys");
      Path file = root.resolve(KEY);
      Files.createDirectories(file.getParent());
      Files.writeString(file, "0\n");
      var sysctl = new Sysctl(root);
      assertEquals("0", sysctl.get(KEY));
      sysctl.set(KEY, "1");
      assertEquals("1", sysctl.get(KEY));
    }
  }

  @Test
  void missingKeysAreNotCreatedAndKeysOutsideTheRootAreRejected() throws IOException {
    try (var files = Jimfs.newFileSystem(Configuration.unix())) {
      Path root = Files.createDirectories(files.getPath("/proc/sys"));
      var sysctl = new Sysctl(root);
      assertThrows(NoSuchFileException.class, () -> sysctl.set("net", "1"));
      assertThrows(IllegalArgumentException.class, () -> sysctl.set("../../etc/passwd", "1"));
    }
  }

  @Test
  void kernelNumbersAreReadCompletely() throws IOException {
    String shown;
    try (InputStream in = Files.newInputStream(Path.of("/proc/sys/kernel/pid_max"))) {
      shown = new String(in.readNBytes(100), StandardCharsets.UTF_8).strip();
    }
    assertTrue(shown.length() > 1, shown);
    assertEquals(shown, Sysctl.KERNEL.get("kernel/pid_max"));
  }

  /** A parameter that nobody can write stands for a /proc/sys that is read-only. */
  @Test
  void onlyWhatDiffersIsWritten() throws IOException {
    String key = "kernel/ostype";
    String present = Sysctl.KERNEL.get(key);
    Sysctl.KERNEL.ensure(key, present);
    assertTrue(Sysctl.KERNEL.setIfPossible(key, present).isEmpty());
    assertTrue(Sysctl.KERNEL.setIfPossible(key, "other").isPresent());
    assertTrue(Sysctl.KERNEL.setIfPossible("kernel/no_such", "1").isPresent());
    IOException e = assertThrows(IOException.class, () -> Sysctl.KERNEL.ensure(key, "other"));
    String message = String.valueOf(e.getMessage());
    assertTrue(message.startsWith("kernel.ostype is " + present + ", has to be other"), message);
    assertTrue(message.contains("\"sysctl -w kernel.ostype=other\""), message);
    assertEquals(present, Sysctl.KERNEL.get(key));
  }

  @Test
  void namesSwapSlashesAndDots() {
    assertEquals("net.ipv4.conf.eth0/5.arp_notify", Sysctl.name(KEY));
  }
}
