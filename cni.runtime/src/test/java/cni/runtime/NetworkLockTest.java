// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Deadline;
import java.io.BufferedReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** GC excludes ADD on the same network, also between processes. */
class NetworkLockTest {
  @TempDir private Path cache;

  private Process start(String verb) throws Exception {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            OtherProcess.class.getName(),
            cache.toString(),
            verb)
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }

  private static long readTime(BufferedReader out, String event) throws Exception {
    String line = Objects.requireNonNull(out.readLine(), "it ended early");
    assertTrue(line.startsWith(event), line);
    return Long.parseLong(line.substring(line.indexOf(' ') + 1));
  }

  @Test
  void gcWaitsForAddInAnotherProcess() throws Exception {
    Process other = start("ADD");
    try (BufferedReader out = other.inputReader()) {
      readTime(out, "started");
      FakePlugin.CALLS.clear();
      OtherProcess.network(cache).gc(Set.of()); // which deletes what the other has added
      long collected = System.nanoTime();
      assertTrue(readTime(out, "ended") < collected);
    }
    assertEquals(0, other.waitFor());
    assertEquals(List.of("DEL first [first]", "GC first []"), FakePlugin.CALLS);
  }

  @Test
  void addWaitsForGcInAnotherProcess() throws Exception {
    Process other = start("GC");
    try (BufferedReader out = other.inputReader()) {
      readTime(out, "started");
      FakePlugin.CALLS.clear();
      var startTime = new CompletableFuture<Long>();
      FakePlugin.onCall = () -> startTime.complete(System.nanoTime());
      Network network = OtherProcess.network(cache);
      Attachment attachment = Attachment.of("c1", Path.of("/run/netns/c1"), "eth0");
      network.add(attachment);
      assertTrue(readTime(out, "ended") - startTime.get() < Duration.ofMillis(150).toNanos());
      FakePlugin.onCall = () -> {};
      network.delete(attachment);
    }
    assertEquals(0, other.waitFor());
  }

  @Test
  void waitingGcIsNotStarvedByNewAdds() throws Exception {
    var lock = new NetworkLock(cache);
    var otherProcess = new NetworkLock(cache); // has its own file descriptors, as another process
    Deadline deadline = Deadline.after(Duration.ofSeconds(10));
    CompletableFuture<Void> collected;
    try (var _ = lock.shared("n", deadline)) {
      collected =
          CompletableFuture.runAsync(
              () -> {
                try (var _ = otherProcess.exclusive("n", deadline)) {
                  Thread.onSpinWait();
                } catch (CniException e) {
                  throw new IllegalStateException(e);
                }
              });
      while (canAcquireShared()) {
        Thread.sleep(1);
      }
      assertTrue(!collected.isDone());
    }
    collected.get();
    try (var _ = lock.shared("n", deadline)) {
      assertTrue(Files.exists(cache.resolve("locks/stay/n")));
    }
  }

  /** Whether another ADD could start. */
  private boolean canAcquireShared() {
    try (var _ = new NetworkLock(cache).shared("n", Deadline.after(Duration.ofMillis(20)))) {
      return true;
    } catch (CniException e) {
      assertEquals(11, e.code());
      return false;
    }
  }

  @Test
  void locksOfDifferentNetworksAreIndependent() throws Exception {
    var lock = new NetworkLock(cache);
    Deadline soon = Deadline.after(Duration.ofMillis(200));
    try (var _ = lock.exclusive("n", soon);
        var _ = lock.exclusive("m", soon)) {
      var otherProcess = new NetworkLock(cache);
      CniException e = assertThrows(CniException.class, () -> otherProcess.shared("n", soon));
      assertEquals(11, e.code());
    }
  }
}
