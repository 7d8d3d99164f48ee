// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.unix;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.libc.LibcSocket;
import cni.netlink.ffm.libc.UnixAddress;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class UnixConnectionTest {
  private static final Duration TIMEOUT = Duration.ofSeconds(10);
  private static final int EPIPE = 32;
  private static final byte[] HELLO = "hello".getBytes(US_ASCII);

  @TempDir private Path directory;

  private Path socket() {
    return directory.resolve("s");
  }

  @Test
  void bytesAndDescriptorsArrive() throws Exception {
    Path file = Files.writeString(directory.resolve("file"), "content");
    int fd = Libc.open(file.toString(), Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
    try (Arena arena = Arena.ofConfined();
        UnixListener listener = UnixListener.bind(socket());
        UnixConnection client = UnixConnection.connect(socket());
        UnixConnection server = listener.accept().orElseThrow()) {
      MemorySegment buffer = arena.allocate(100);
      assertEquals(-1, server.receive(buffer, 2).length());
      client.send(HELLO, List.of(fd, fd), TIMEOUT);
      UnixConnection.Received received = server.receive(buffer, 2);
      assertArrayEquals(HELLO, buffer.asSlice(0, received.length()).toArray(ValueLayout.JAVA_BYTE));
      assertEquals(2, received.descriptors().size());
      for (ReceivedDescriptor it : received.descriptors()) {
        assertEquals("content", Files.readString(it.path()));
        it.close();
      }
      assertEquals(ProcessHandle.current().pid(), server.peer().pid());
    } finally {
      Libc.close(fd);
    }
  }

  @Test
  void otherEndThatIsClosedEndsTheStream() throws Exception {
    try (Arena arena = Arena.ofConfined();
        UnixListener listener = UnixListener.bind(socket())) {
      UnixConnection client = UnixConnection.connect(socket());
      try (UnixConnection server = listener.accept().orElseThrow()) {
        client.close();
        assertEquals(0, server.receive(arena.allocate(100), 2).length());
        KernelException e = assertThrows(KernelException.class, () -> server.send(HELLO, TIMEOUT));
        assertTrue(e.is(EPIPE), e::getMessage);
      }
    }
  }

  @Test
  void noneOfTooManyDescriptorsStaysOpen() throws Exception {
    try (Arena arena = Arena.ofConfined();
        UnixListener listener = UnixListener.bind(socket());
        UnixConnection client = UnixConnection.connect(socket());
        UnixConnection server = listener.accept().orElseThrow()) {
      client.send(HELLO, Collections.nCopies(20, 0), TIMEOUT);
      KernelException e =
          assertThrows(KernelException.class, () -> server.receive(arena.allocate(100), 2));
      assertTrue(e.is(Errno.EMSGSIZE), e::getMessage);
    }
  }

  @Test
  void receiverThatDoesNotReadIsNotWaitedForWithoutEnd() throws Exception {
    try (UnixListener listener = UnixListener.bind(socket());
        UnixConnection client = UnixConnection.connect(socket());
        UnixConnection _ = listener.accept().orElseThrow()) {
      KernelException e =
          assertThrows(
              KernelException.class, () -> client.send(new byte[8 << 20], Duration.ofMillis(50)));
      assertTrue(e.is(Errno.EAGAIN), e::getMessage);
    }
  }

  @Test
  void fileOfTheListenerIsItsOwnersAlone() throws Exception {
    try (UnixListener _ = UnixListener.bind(socket())) {
      assertEquals(
          "rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(socket())));
      KernelException e = assertThrows(KernelException.class, () -> UnixListener.bind(socket()));
      assertTrue(e.is(Errno.EADDRINUSE), e::getMessage);
    }
    KernelException e = assertThrows(KernelException.class, () -> UnixConnection.connect(socket()));
    assertTrue(e.is(Errno.ECONNREFUSED), e::getMessage);
  }

  /** As systemd passes it. */
  @Test
  void listenerThatBlocksDoesNotAnyMore() throws Exception {
    int fd = Libc.socket(UnixAddress.AF_UNIX, LibcSocket.SOCK_STREAM | Libc.SOCK_CLOEXEC, 0);
    try (Arena arena = Arena.ofConfined()) {
      Libc.bind(fd, UnixAddress.of(socket().toString(), arena));
      LibcSocket.listen(fd, 1);
    }
    try (UnixListener listener = UnixListener.of(fd)) {
      assertEquals(Optional.empty(), listener.accept());
    }
  }

  @Test
  void pollerReportsAHangUpOnceAndNoMoreInput() throws Exception {
    Optional<Duration> soon = Optional.of(Duration.ofMillis(20));
    try (SocketPoller poller = SocketPoller.open();
        UnixListener listener = UnixListener.bind(socket())) {
      poller.add(listener, 1);
      UnixConnection client = UnixConnection.connect(socket());
      assertArrayEquals(new long[] {1}, poller.await(soon));
      try (UnixConnection server = listener.accept().orElseThrow()) {
        poller.add(server, 2);
        poller.watchHangUp(server, 2);
        client.send(HELLO, TIMEOUT);
        assertArrayEquals(new long[0], poller.await(soon));
        client.close();
        assertArrayEquals(new long[] {2}, poller.await(soon));
        assertArrayEquals(new long[0], poller.await(soon));
        poller.wakeUp();
        assertArrayEquals(new long[0], poller.await(Optional.empty())); // returns
      }
    }
  }
}
