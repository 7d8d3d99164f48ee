package cni.netlink.ffm.file;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FlockTest {
  private static final Duration TIMEOUT = Duration.ofMillis(50);

  @TempDir private Path directory;

  @Test
  void excludesTheFlockCommand() throws Exception {
    Path file = directory.resolve("lock");
    try (Flock _ = Flock.acquire(file, TIMEOUT)) {
      assertEquals(1, flockCommand(file));
    }
    assertEquals(0, flockCommand(file));
  }

  @Test
  void excludesAnotherOpenInTheSameProcess() throws Exception {
    Path file = directory.resolve("lock");
    try (Flock _ = Flock.acquire(file, TIMEOUT)) {
      KernelException busy =
          assertThrows(KernelException.class, () -> Flock.acquire(file, TIMEOUT));
      assertTrue(busy.is(Errno.EAGAIN));
    }
    Flock.acquire(file, TIMEOUT).close();
  }

  @Test
  void interruptEndsTheWait() throws Exception {
    Path file = directory.resolve("lock");
    try (Flock _ = Flock.acquire(file, TIMEOUT)) {
      Thread.currentThread().interrupt();
      assertThrows(InterruptedException.class, () -> Flock.acquire(file, Duration.ofMinutes(1)));
    }
  }

  @Test
  void missingDirectoryIsReportedWithItsPath() {
    Path file = directory.resolve("missing/lock");
    KernelException e = assertThrows(KernelException.class, () -> Flock.acquire(file, TIMEOUT));
    assertTrue(e.is(Errno.ENOENT));
    assertTrue(String.valueOf(e.getMessage()).contains(file.toString()), e::getMessage);
  }

  private static int flockCommand(Path file) throws IOException, InterruptedException {
    Process process = new ProcessBuilder("flock", "-n", file.toString(), "true").start();
    assertTrue(process.waitFor(10, TimeUnit.SECONDS));
    return process.exitValue();
  }
}
