package cni.netlink.ffm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FlockTest {
  private static final Duration SHORT = Duration.ofMillis(50);

  @TempDir private Path directory;

  @Test
  void excludesTheCommandFlock() throws Exception {
    Path file = directory.resolve("lock");
    try (Flock _ = Flock.acquire(file, SHORT)) {
      assertEquals(1, flockCommand(file));
    }
    assertEquals(0, flockCommand(file));
  }

  @Test
  void excludesAnotherOpenInTheSameProcess() throws Exception {
    Path file = directory.resolve("lock");
    try (Flock _ = Flock.acquire(file, SHORT)) {
      KernelException busy = assertThrows(KernelException.class, () -> Flock.acquire(file, SHORT));
      assertTrue(busy.is(Errno.EAGAIN));
    }
    Flock.acquire(file, SHORT).close();
  }

  @Test
  void waitingEndsWithAnInterrupt() throws Exception {
    Path file = directory.resolve("lock");
    try (Flock _ = Flock.acquire(file, SHORT)) {
      Thread.currentThread().interrupt();
      assertThrows(InterruptedException.class, () -> Flock.acquire(file, Duration.ofMinutes(1)));
    }
  }

  @Test
  void aDirectoryThatDoesNotExistIsTold() {
    Path file = directory.resolve("missing/lock");
    KernelException e = assertThrows(KernelException.class, () -> Flock.acquire(file, SHORT));
    assertTrue(e.is(Errno.ENOENT));
    assertTrue(String.valueOf(e.getMessage()).contains(file.toString()), e::getMessage);
  }

  private static int flockCommand(Path file) throws IOException, InterruptedException {
    Process process = new ProcessBuilder("flock", "-n", file.toString(), "true").start();
    assertTrue(process.waitFor(10, TimeUnit.SECONDS));
    return process.exitValue();
  }
}
