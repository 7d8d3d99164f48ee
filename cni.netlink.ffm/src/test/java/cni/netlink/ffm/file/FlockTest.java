// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.file;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
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

  /** Opening a FIFO for reading would wait for a writer, beyond any timeout. */
  @Test
  void onlyRegularFilesAreLocked() throws Exception {
    Path fifo = directory.resolve("fifo");
    assertEquals(0, new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor());
    Path dangling = Files.createSymbolicLink(directory.resolve("link"), directory.resolve("new"));
    Path socket = directory.resolve("socket");
    try (var server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      server.bind(UnixDomainSocketAddress.of(socket));
      for (Path file : List.of(fifo, dangling, socket, Path.of("/dev/null"), directory)) {
        KernelException e =
            assertTimeoutPreemptively(
                Duration.ofSeconds(5),
                () -> assertThrows(KernelException.class, () -> Flock.acquire(file, TIMEOUT)));
        assertTrue(String.valueOf(e.getMessage()).contains(file.toString()), e::getMessage);
        assertThrows(KernelException.class, () -> Flock.acquireShared(file, TIMEOUT));
      }
    }
    assertTrue(Files.notExists(directory.resolve("new")), "the link was followed");
    KernelException e = assertThrows(KernelException.class, () -> Flock.acquire(fifo, TIMEOUT));
    assertTrue(String.valueOf(e.getMessage()).contains("not a regular file"), e::getMessage);
  }

  @Test
  void newFileIsItsOwnersAlone() throws Exception {
    Path file = directory.resolve("lock");
    Flock.acquire(file, TIMEOUT).close();
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
  }

  @Test
  void directoryIsLockedAsSuch() throws Exception {
    try (Flock _ = Flock.acquireDirectory(directory, TIMEOUT)) {
      assertEquals(1, flockCommand(directory));
    }
    assertEquals(0, flockCommand(directory));
    Path file = Files.createFile(directory.resolve("file"));
    assertThrows(KernelException.class, () -> Flock.acquireDirectory(file, TIMEOUT));
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
