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

/** Garbage is not collected while another process adds, and the reverse. */
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

  private static long moment(BufferedReader out, String what) throws Exception {
    String line = Objects.requireNonNull(out.readLine(), "it ended early");
    assertTrue(line.startsWith(what), line);
    return Long.parseLong(line.substring(line.indexOf(' ') + 1));
  }

  @Test
  void gcWaitsForAddInAnotherProcess() throws Exception {
    Process other = start("ADD");
    try (BufferedReader out = other.inputReader()) {
      moment(out, "begun");
      FakePlugin.CALLS.clear();
      OtherProcess.network(cache).gc(Set.of()); // what has been added by then goes, too
      long collected = System.nanoTime();
      assertTrue(moment(out, "ended") < collected);
    }
    assertEquals(0, other.waitFor());
    assertEquals(List.of("DEL first [first]", "GC first []"), FakePlugin.CALLS);
  }

  @Test
  void addWaitsForGcInAnotherProcess() throws Exception {
    Process other = start("GC");
    try (BufferedReader out = other.inputReader()) {
      moment(out, "begun");
      FakePlugin.CALLS.clear();
      var began = new CompletableFuture<Long>();
      FakePlugin.onCall = () -> began.complete(System.nanoTime());
      Network network = OtherProcess.network(cache);
      Attachment attachment = Attachment.of("c1", Path.of("/run/netns/c1"), "eth0");
      network.add(attachment);
      assertTrue(moment(out, "ended") - began.get() < Duration.ofMillis(150).toNanos());
      FakePlugin.onCall = () -> {};
      network.delete(attachment);
    }
    assertEquals(0, other.waitFor());
  }

  @Test
  void waitingGcIsNotStarvedByNewAdds() throws Exception {
    var lock = new NetworkLock(cache);
    var elsewhere = new NetworkLock(cache); // as another process has it
    Deadline deadline = Deadline.after(Duration.ofSeconds(10));
    CompletableFuture<Void> collected;
    try (var _ = lock.shared("n", deadline)) {
      collected =
          CompletableFuture.runAsync(
              () -> {
                try (var _ = elsewhere.exclusive("n", deadline)) {
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

  /** Whether one more could begin. */
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
      var elsewhere = new NetworkLock(cache);
      CniException e = assertThrows(CniException.class, () -> elsewhere.shared("n", soon));
      assertEquals(11, e.code());
    }
  }
}
