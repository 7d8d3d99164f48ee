// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.libc.LibcSocket;
import cni.netlink.ffm.libc.UnixAddress;
import cni.netlink.ffm.unix.UnixListener;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The socket of a host: who has it, and what happens when it is removed or replaced. */
class HostSocketTest {
  @TempDir private Path directory;

  private TestImage host(RequestHandler handler) throws Exception {
    return new TestImage(directory, 2, Duration.ofMillis(100), handler);
  }

  @Test
  void socketBelongsToTheOwnerAloneWhateverTheUmaskAndEndsWithTheHost() throws Exception {
    Path socket;
    try (TestImage host = host(TestImage::echo)) {
      socket = host.socket;
      assertEquals(
          "rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)));
    }
    assertTrue(Files.notExists(socket));
  }

  @Test
  void secondHostIsRefusedAndSocketOfADeadOneIsReplaced() throws Exception {
    try (TestImage host = host(TestImage::echo)) {
      CniException e = assertThrows(CniException.class, () -> host(TestImage::echo));
      assertEquals(4, e.code());
      assertTrue(e.getMessage().contains("another host serves " + host.socket), e::getMessage);
      assertEquals(7, host.call(Map.of(), "bridge").status());
    }
    try (var _ = UnixListener.bind(directory.resolve("cni.sock"))) {
      assertTrue(Files.exists(directory.resolve("cni.sock")));
    }
    try (TestImage host = host(TestImage::echo)) {
      assertEquals(7, host.call(Map.of(), "bridge").status());
    }
  }

  @Test
  void anotherFileInPlaceOfTheSocketIsKept() throws Exception {
    Files.writeString(directory.resolve("cni.sock"), "precious");
    CniException e = assertThrows(CniException.class, () -> host(TestImage::echo));
    assertTrue(e.getMessage().contains("is not a socket"), e::getMessage);
    assertEquals("precious", Files.readString(directory.resolve("cni.sock")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"socket", "directory", "replaced"})
  void socketThatWasRemovedIsCreatedAgain(String what) throws Exception {
    Path own = Files.createDirectory(directory.resolve("run"));
    try (TestImage host = new TestImage(own, 2, Duration.ofMillis(100), TestImage::echo)) {
      switch (what) {
        case "socket" -> Files.delete(host.socket);
        case "directory" -> Files.move(own, directory.resolve("moved"));
        default -> {
          try (var _ = UnixListener.bind(directory.resolve("other"))) {
            Files.move(directory.resolve("other"), host.socket, StandardCopyOption.ATOMIC_MOVE);
          }
        }
      }
      Path image = what.equals("directory") ? directory.resolve("moved/image") : host.image;
      assertEquals(7, callUntilServed(host.socket, image).status());
      assertEquals(
          "rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(host.socket)));
    }
  }

  private static HostClient.Reply callUntilServed(Path socket, Path image) throws Exception {
    long end = System.nanoTime() + TestImage.TIMEOUT.toNanos();
    while (true) {
      try {
        return HostClient.call(
            socket, image, List.of("bridge"), Map.of(), new byte[0], TestImage.TIMEOUT);
      } catch (IOException e) {
        if (System.nanoTime() > end) {
          throw e;
        }
        TestImage.pause(10);
      }
    }
  }

  @Test
  void hostWhoseSocketWasReplacedByAnotherFileEndsAndUndoesItsCalls() throws Exception {
    var begun = new CountDownLatch(1);
    var interrupted = new CountDownLatch(1);
    RequestHandler sleeping =
        (request, out, err) -> {
          begun.countDown();
          try {
            Thread.sleep(60_000);
          } catch (InterruptedException e) {
            TestImage.pause(200);
            interrupted.countDown();
          }
          return 11;
        };
    TestImage host = host(sleeping);
    try (ExecutorService caller = Executors.newSingleThreadExecutor()) {
      Future<HostClient.Reply> reply = caller.submit(() -> host.call(Map.of(), "bridge"));
      assertTrue(begun.await(10, TimeUnit.SECONDS));
      Files.delete(host.socket);
      Files.writeString(host.socket, "precious");
      CniException failure = host.awaitFailure();
      assertEquals(4, failure.code());
      assertTrue(failure.getMessage().contains("is not a socket"), failure::getMessage);
      host.server.close();
      assertEquals(0, interrupted.getCount(), "the host ends before the call has been undone");
      assertEquals(11, reply.get().status());
    }
    assertEquals("precious", Files.readString(host.socket));
  }

  @Test
  void removedSocketOfTheServiceManagerIsReportedOnce() throws Exception {
    Path socket = directory.resolve("cni.sock");
    int passed = Libc.socket(UnixAddress.AF_UNIX, LibcSocket.SOCK_STREAM | Libc.SOCK_CLOEXEC, 0);
    try (Arena arena = Arena.ofConfined()) {
      Libc.bind(passed, UnixAddress.of(socket.toString(), arena));
      LibcSocket.listen(passed, 10);
    }
    try (var log = new LogRecorder("cni.daemon");
        TestImage host =
            new TestImage(directory, OptionalInt.of(passed), 2, Duration.ZERO, TestImage::echo)) {
      assertEquals(7, host.call(Map.of(), "bridge").status());
      Files.delete(socket);
      Files.createFile(directory.resolve("more"));
      TestImage.pause(300);
      assertEquals(1, log.messages(socket).size());
      assertTrue(
          log.messages(socket).getFirst().contains("systemctl restart cni.socket cni.service"));
      assertTrue(Files.notExists(socket));
    }
  }
}
