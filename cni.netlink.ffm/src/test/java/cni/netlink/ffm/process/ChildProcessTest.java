package cni.netlink.ffm.process;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.KernelException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

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
  void childInheritsNoDescriptorsAndNoneLeak() throws Exception {
    try (ChildProcess process = shell("ls -l /proc/self/fd | grep -c pipe:", "")) {
      assertTrue(process.communicate(TIMEOUT));
      assertEquals(
          "3", process.output().strip()); // and the directory that ls has open, which is not a pipe
    }
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
