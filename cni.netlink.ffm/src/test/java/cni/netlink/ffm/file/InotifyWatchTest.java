// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.file;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InotifyWatchTest {
  private static final Path MAX_QUEUED = Path.of("/proc/sys/fs/inotify/max_queued_events");

  @TempDir private Path directory;
  private Path a;
  private Path b;

  @BeforeEach
  void createDirectories() throws IOException {
    a = Files.createDirectory(directory.resolve("a"));
    b = Files.createDirectory(directory.resolve("b"));
  }

  private static Optional<Set<String>> changed(String... names) {
    return Optional.of(Set.of(names));
  }

  @Test
  void sharedWatchesReportTheChangesOfTheirDirectories() throws Exception {
    InotifyWatch second = InotifyWatch.openShared(a);
    try (InotifyWatch first = InotifyWatch.openShared(a);
        InotifyWatch other = InotifyWatch.openShared(b)) {
      assertEquals(first.fd(), other.fd());
      Files.createFile(a.resolve("one"));
      Files.createFile(b.resolve("two"));
      assertEquals(changed("two"), other.pollChanges());
      assertEquals(changed("one"), first.pollChanges());
      assertEquals(changed(), first.pollChanges());
      second.close();
      Files.createFile(a.resolve("three"));
      assertEquals(changed("three"), first.pollChanges());
      assertEquals(changed(), other.pollChanges());
    }
  }

  @Test
  void directoryCanBeWatchedAgain() throws Exception {
    try (InotifyWatch other = InotifyWatch.openShared(b)) {
      InotifyWatch.openShared(a).close();
      Files.createFile(a.resolve("unseen"));
      try (InotifyWatch again = InotifyWatch.openShared(a)) {
        assertEquals(changed(), again.pollChanges());
        Files.createFile(a.resolve("seen"));
        assertEquals(changed("seen"), again.pollChanges());
      }
      assertEquals(changed(), other.pollChanges());
    }
  }

  @Test
  void descriptorIsClosedWithItsLastWatch() throws Exception {
    InotifyWatch first = InotifyWatch.openShared(a);
    InotifyWatch second = InotifyWatch.openShared(b);
    first.close();
    first.close();
    Files.createFile(b.resolve("file"));
    assertEquals(changed("file"), second.pollChanges());
    second.close();
    assertThrows(IllegalStateException.class, second::fd);
    try (InotifyWatch third = InotifyWatch.openShared(a)) {
      Files.createFile(a.resolve("file"));
      assertEquals(changed("file"), third.pollChanges());
    }
  }

  @Test
  void lossOfOneDirectoryDoesNotConcernAnother() throws Exception {
    try (InotifyWatch removed = InotifyWatch.openShared(a);
        InotifyWatch renamed = InotifyWatch.openShared(b);
        InotifyWatch other = InotifyWatch.openShared(directory)) {
      Files.delete(a);
      Files.move(b, directory.resolve("c"));
      assertEquals(Optional.empty(), removed.pollChanges());
      assertEquals(Optional.empty(), removed.pollChanges());
      assertEquals(Optional.empty(), renamed.pollChanges());
      assertEquals(changed("a", "b", "c"), other.pollChanges());
      try (InotifyWatch again = InotifyWatch.openShared(directory.resolve("c"))) {
        Files.createFile(directory.resolve("c/file"));
        assertEquals(changed("file"), again.pollChanges());
        assertEquals(Optional.empty(), renamed.pollChanges());
      }
    }
  }

  @Test
  void overflowConcernsAllThatShareTheQueue() throws Exception {
    int limit = Integer.parseInt(Files.readAllLines(MAX_QUEUED).getFirst());
    try (InotifyWatch noisy = InotifyWatch.openShared(a);
        InotifyWatch silent = InotifyWatch.openShared(b);
        InotifyWatch own = InotifyWatch.open(b)) {
      assertNotEquals(silent.fd(), own.fd());
      for (int i = 0; i <= limit / 2; i++) { // creation and removal
        Path file = Files.createFile(a.resolve("noise"));
        Files.delete(file);
      }
      assertEquals(Optional.empty(), silent.pollChanges());
      assertEquals(Optional.empty(), noisy.pollChanges());
      assertEquals(changed(), own.pollChanges());
      try (InotifyWatch again = InotifyWatch.openShared(a)) {
        assertEquals(changed(), again.pollChanges());
      }
    }
  }

  @Test
  void missingDirectoryIsAnError() {
    Path missing = directory.resolve("missing");
    KernelException e =
        assertThrows(KernelException.class, () -> InotifyWatch.openShared(missing).close());
    assertTrue(e.is(Errno.ENOENT), e::getMessage);
  }
}
