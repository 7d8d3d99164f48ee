// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.libc.UnixAddress;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Notifications of a process to a socket in place of systemd's. */
class ServiceNotificationTest {
  private static final int MAX_MESSAGE = 4096;

  @TempDir Path directory;

  private static Descriptor receiver(String path) throws KernelException {
    int fd = Libc.socket(UnixAddress.AF_UNIX, Libc.SOCK_DGRAM | Libc.SOCK_CLOEXEC, 0);
    try (Arena arena = Arena.ofConfined()) {
      Libc.bind(fd, UnixAddress.of(path, arena));
      Libc.setReceiveTimeout(fd, Duration.ofSeconds(30));
    }
    return new Descriptor(fd);
  }

  private static String receive(Descriptor receiver) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(MAX_MESSAGE);
      long length = Libc.recvfrom(receiver.fd(), buffer, 0, MemorySegment.NULL);
      return new String(buffer.asSlice(0, length).toArray(JAVA_BYTE), StandardCharsets.UTF_8);
    }
  }

  private static String output(Process process) throws Exception {
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), text);
    return text;
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void notificationsReachTheServiceManager(boolean isAbstract) throws Exception {
    String name = isAbstract ? "@cni-" + UUID.randomUUID() : directory.resolve("s").toString();
    try (Descriptor receiver = receiver(name.replace("@", "\0"))) {
      Process process =
          NotifyingProcess.start(Map.of("NOTIFY_SOCKET", name, "WATCHDOG_USEC", "2500000"));
      assertEquals("READY=1", receive(receiver));
      assertEquals("STATUS=2 calls READY=0", receive(receiver));
      assertEquals("WATCHDOG=1", receive(receiver));
      assertEquals("STOPPING=1", receive(receiver));
      assertEquals("Optional[PT2.5S]\n", output(process));
    }
  }

  @Test
  void withoutServiceManagerNothingHappens() throws Exception {
    assertEquals("Optional.empty\n", output(NotifyingProcess.start(Map.of())));
  }

  @ParameterizedTest
  @ValueSource(strings = {"/nonexistent/socket", "relative", "vsock:2:1234", "@LONG"})
  void failureIsLoggedOnceAndHasNoOtherEffect(String name) throws Exception {
    String socket = name.replace("LONG", "x".repeat(200));
    String output = output(NotifyingProcess.start(Map.of("NOTIFY_SOCKET", socket)));
    assertEquals(2, output.split("WARNING: ", -1).length, output);
    assertTrue(output.contains(socket) && output.endsWith("Optional.empty\n"), output);
  }

  @ParameterizedTest
  @CsvSource({
    "1000000,,PT1S",
    "1000000,1234,PT1S",
    "1000000,99,",
    "0,1234,",
    "-5,,",
    "soon,,",
    "99999999999999999999,,"
  })
  void watchdogIsThatOfThisProcess(String micros, @Nullable String pid, @Nullable String expected) {
    Map<String, String> environment =
        pid == null
            ? Map.of("WATCHDOG_USEC", micros)
            : Map.of("WATCHDOG_USEC", micros, "WATCHDOG_PID", pid);
    assertEquals(
        Optional.ofNullable(expected).map(Duration::parse),
        ServiceNotification.of(environment, 1234).watchdogTimeout());
  }
}
