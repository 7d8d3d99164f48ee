// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.Flock;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ChildProcessTest {
  private static final Duration TIMEOUT = Duration.ofSeconds(30);
  private static final int LIMIT = 1 << 20;

  private static ChildProcess shell(String script, String input) throws KernelException {
    return ChildProcess.start(
        List.of("sh", "-c", script),
        ChildEnvironment.inherited(),
        input.getBytes(StandardCharsets.UTF_8),
        LIMIT);
  }

  @Test
  void passesInputAndReturnsBothOutputsAndStatus() throws Exception {
    try (ChildProcess process = shell("cat; echo e >&2; exit 3", "given")) {
      assertTrue(process.communicate(TIMEOUT));
      assertEquals("given", process.output());
      assertEquals("e\n", process.errorOutput());
      assertEquals(OptionalInt.of(3), process.exitStatus());
      assertTrue(process.signal().isEmpty());
    }
  }

  @Test
  void terminationBySignalIsReportedAsSignalNotAsStatus() throws Exception {
    try (ChildProcess process = shell("kill -TERM $$", "")) {
      assertTrue(process.communicate(TIMEOUT));
      assertEquals(OptionalInt.of(15), process.signal());
      assertTrue(process.exitStatus().isEmpty());
    }
  }

  @Test
  void inputAndOutputLargerThanAPipeAreTransferred() throws Exception {
    String large = "0123456789".repeat(50_000);
    try (ChildProcess process = shell("cat", large)) {
      assertTrue(process.communicate(TIMEOUT));
      assertEquals(large, process.output());
      assertFalse(process.isOutputTruncated());
    }
    try (ChildProcess process = shell("head -c 3000000 /dev/zero", "")) {
      assertTrue(process.communicate(TIMEOUT));
      assertTrue(process.isOutputTruncated());
    }
  }

  @Test
  void closeKillsAndReapsARunningProcessEvenIfInterrupted() throws Exception {
    ChildProcess process = shell("sleep 100 & sleep 100", "");
    assertFalse(process.communicate(Duration.ofMillis(30)));
    Thread.currentThread().interrupt();
    process.close();
    assertTrue(Thread.interrupted());
    assertEquals(OptionalInt.of(9), process.signal());
    process.close();
    assertEquals(0, ProcessHandle.current().children().count());
  }

  @Test
  void childInheritsThePipeOfItsParentAndNothingElse() throws Exception {
    try (ChildProcess process = shell("ls /proc/$$/fd; readlink /proc/$$/fd/3", "")) {
      assertTrue(process.communicate(TIMEOUT));
      List<String> lines = process.output().lines().toList();
      assertEquals(List.of("0", "1", "2", "3"), lines.subList(0, lines.size() - 1));
      assertTrue(lines.getLast().startsWith("pipe:"), lines::toString);
    }
  }

  /**
   * The kernel kills the process group with its parent, whether that is killed or terminated. The
   * child waits for the end of its input, which comes once {@link ParentDeathSignal#arm} is done.
   */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void childAndItsChildrenEndWithTheParent(boolean forcibly, @TempDir Path directory)
      throws Exception {
    Path pids = directory.resolve("pids");
    Process parent =
        ParentProcess.start("cat; sleep 97 & printf '%s\\n' $! $$ > " + pids + "; sleep 97");
    while (!Files.exists(pids) || Files.readAllLines(pids).size() < 2) {
      assertTrue(parent.isAlive());
      Thread.sleep(10);
    }
    Process killed = forcibly ? parent.destroyForcibly() : destroy(parent);
    assertTrue(killed.waitFor(30, TimeUnit.SECONDS));
    for (String pid : Files.readAllLines(pids)) {
      awaitEnd(Long.parseLong(pid));
    }
  }

  private static Process destroy(Process process) {
    process.destroy();
    return process;
  }

  private static void awaitEnd(long pid) throws Exception {
    for (int i = 0; isRunning(pid); i++) {
      assertTrue(i < 3_000, pid + " still runs");
      Thread.sleep(10);
    }
  }

  /** Returns whether it runs; a zombie that its new parent has not reaped does not. */
  private static boolean isRunning(long pid) throws IOException {
    try {
      return !Files.readString(Path.of("/proc/" + pid + "/stat")).contains(") Z ");
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  @Test
  void processesThatItLeavesAreReportedAndStay() throws Exception {
    long pid;
    try (ChildProcess process = shell("sleep 97 > /dev/null 2>&1 & echo $!", "")) {
      assertTrue(process.communicate(TIMEOUT));
      assertTrue(process.leftProcesses());
      pid = Long.parseLong(process.output().strip());
    }
    Thread.sleep(20);
    assertTrue(isRunning(pid));
    ProcessHandle.of(pid).orElseThrow().destroyForcibly();
    awaitEnd(pid);
    try (ChildProcess process = shell("sleep 0 & wait", "")) {
      assertTrue(process.communicate(TIMEOUT));
      assertFalse(process.leftProcesses());
    }
  }

  @Test
  void processesThatOtherThreadsStartAreNotTakenForLeftOnes() throws Exception {
    var left = new AtomicInteger();
    Callable<Void> starts =
        () -> {
          for (int i = 0; i < 100; i++) {
            try (ChildProcess process = shell(":", "")) {
              assertTrue(process.communicate(TIMEOUT));
              left.addAndGet(process.leftProcesses() ? 1 : 0);
            }
          }
          return null;
        };
    try (var threads = Executors.newFixedThreadPool(8)) {
      for (Future<Void> done : threads.invokeAll(Collections.nCopies(8, starts))) {
        done.get();
      }
    }
    assertEquals(0, left.get());
  }

  @Test
  void inheritedLockIsReleasedWithItsOwnerEvenIfAProcessStays(@TempDir Path directory)
      throws Exception {
    Path file = Files.createFile(directory.resolve("lock"));
    Flock lock = Flock.acquireExistingShared(file, TIMEOUT).orElseThrow();
    try (ChildProcess process =
        ChildProcess.start(
            List.of("sh", "-c", "readlink /proc/$$/fd/4; sleep 97"),
            ChildEnvironment.inherited(),
            new byte[0],
            LIMIT,
            Optional.of(lock))) {
      while (process.output().isEmpty()) {
        assertFalse(process.communicate(Duration.ofMillis(10)));
      }
      assertEquals(file.toRealPath() + "\n", process.output());
      assertThrows(KernelException.class, () -> Flock.acquireExisting(file, Duration.ofMillis(10)));
      lock.close();
      Flock.acquireExisting(file, Duration.ofMillis(10)).orElseThrow().close();
    }
    assertTrue(Flock.acquireExisting(directory.resolve("none"), TIMEOUT).isEmpty());
  }

  @Test
  void noDescriptorsLeak() throws Exception {
    long before = descriptors();
    for (int i = 0; i < 20; i++) {
      shell("exit 0", "").close();
      assertThrows(
          KernelException.class,
          () ->
              ChildProcess.start(
                  List.of("/no/such"), ChildEnvironment.empty(), new byte[0], LIMIT));
    }
    assertEquals(before, descriptors());
  }

  private static long descriptors() throws IOException {
    try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
      return open.count();
    }
  }

  @Test
  void environmentIsInheritedAndCanBeModified() throws Exception {
    ChildEnvironment environment =
        ChildEnvironment.inherited().withoutPrefix("PATH").with(Map.of("CNI_X", "\u00e9"));
    try (ChildProcess process =
        ChildProcess.start(List.of("/usr/bin/env"), environment, new byte[0], LIMIT)) {
      assertTrue(process.communicate(TIMEOUT));
      List<String> lines = process.output().lines().toList();
      assertTrue(lines.contains("CNI_X=\u00e9"), lines::toString);
      assertTrue(lines.stream().noneMatch(line -> line.startsWith("PATH=")), lines::toString);
      assertEquals(
          System.getenv("HOME") != null, lines.stream().anyMatch(line -> line.startsWith("HOME=")));
    }
  }
}
