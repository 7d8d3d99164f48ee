// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.unix.UnixConnection;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ObjectNode;

/** The host's side of the protocol, with handlers that run no plugins. */
class HostServerTest {
  @TempDir private Path directory;

  private TestImage host(RequestHandler handler) throws Exception {
    return new TestImage(directory, 2, Duration.ofMillis(100), handler);
  }

  @Test
  void requestIsServedAndItsOutputsAndStatusArrive() throws Exception {
    try (TestImage host = host(TestImage::echo)) {
      assertEquals(
          new HostClient.Reply("", 7, "bridge ADD input", Path.of("").toAbsolutePath().toString()),
          host.call(Map.of("CNI_COMMAND", "ADD"), "bridge"));
      HostStatus status = host.server.status();
      assertEquals(1, status.calls().size());
      assertEquals("bridge", status.calls().getFirst().name());
      assertEquals(1, status.calls().getFirst().failed());
      assertTrue(status.residentKiB() > 0);
    }
  }

  @Test
  void callerOfAnotherBuildIsRefused() throws Exception {
    try (TestImage host = host(TestImage::echo)) {
      Files.writeString(host.image.resolve("lib/modules"), "newer");
      HostClient.Reply reply = host.call(Map.of(), "bridge");
      assertTrue(reply.refusal().contains("another build"), reply::refusal);
      assertEquals(1, host.server.status().refused());
      assertEquals(List.of(), host.server.status().calls());
    }
  }

  private static String status(TestImage host, String format) throws IOException {
    HostClient.Reply reply =
        HostClient.status(host.socket, host.image, "2.0", format, TestImage.TIMEOUT);
    assertEquals(new HostClient.Reply("", 0, reply.out(), ""), reply);
    return reply.out();
  }

  @Test
  void statusIsAnsweredToAnyBuild() throws Exception {
    try (TestImage host = host(TestImage::echo)) {
      assertFalse(status(host, "text").contains("another build"));
      assertTrue(Json.parse(status(host, "json"), "status").path("callerVersion").isMissingNode());
      Files.writeString(host.image.resolve("lib/modules"), "newer");
      host.call(Map.of(), "bridge");
      String text = status(host, "text");
      assertTrue(text.startsWith("cni 1.0, process "), text);
      assertTrue(text.contains("another build, cni 2.0: its calls are refused"), text);
      assertTrue(
          text.contains("0 in flight, 0 of them waiting; 0 served, 0 failed; 1 refused"), text);
      ObjectNode json = Json.parse(status(host, "json"), "status");
      assertEquals("1.0", json.path("version").asString());
      assertEquals("2.0", json.path("callerVersion").asString());
    }
  }

  @Test
  void statusIsAnsweredWhileCallsWaitAndTheHostEnds() throws Exception {
    var begun = new CountDownLatch(2);
    var end = new CountDownLatch(1);
    RequestHandler waiting =
        (request, out, err) -> {
          begun.countDown();
          try {
            end.await();
          } catch (InterruptedException e) {
            return 11;
          }
          return 0;
        };
    try (TestImage host = new TestImage(directory, 2, Duration.ofSeconds(30), waiting);
        ExecutorService callers = Executors.newCachedThreadPool()) {
      List<Future<HostClient.Reply>> replies = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        replies.add(callers.submit(() -> host.call(Map.of(), "bridge")));
      }
      assertTrue(begun.await(10, TimeUnit.SECONDS));
      while (host.server.status().waiting() == 0) {
        TestImage.pause(5);
      }
      Thread.ofPlatform().start(host.server::stop);
      while (!host.server.status().draining()) {
        TestImage.pause(5);
      }
      String text = status(host, "text");
      assertTrue(text.contains("is about to end"), text);
      assertTrue(text.contains("3 in flight, 1 of them waiting"), text);
      end.countDown();
      for (Future<HostClient.Reply> reply : replies) {
        assertEquals(0, reply.get().status());
      }
    }
  }

  @Test
  void exceptionOfTheHandlerIsOneCallsFailure() throws Exception {
    RequestHandler failing =
        (request, out, err) -> {
          throw new StackOverflowError();
        };
    try (TestImage host = host(failing)) {
      for (int i = 0; i < 3; i++) {
        HostClient.Reply reply = host.call(Map.of(), "bridge");
        assertEquals(1, reply.status());
        assertTrue(reply.err().contains("StackOverflowError"), reply::err);
      }
    }
  }

  @Test
  void largeInputAndOutputPass() throws Exception {
    String large = "x".repeat(3 << 20);
    String input = "x".repeat(100 << 10);
    RequestHandler repeating =
        (request, out, err) -> {
          out.print(TestImage.input(request));
          out.print(large);
          err.print(large);
          return 0;
        };
    try (TestImage host = host(repeating)) {
      HostClient.Reply reply =
          HostClient.call(
              host.socket,
              host.image,
              List.of("bridge"),
              Map.of(),
              input.getBytes(StandardCharsets.UTF_8),
              TestImage.TIMEOUT);
      assertEquals(input + large, reply.out());
      assertEquals(large, reply.err());
    }
  }

  @Test
  void requestThatWouldTakeMuchMemoryIsLeftToItsCaller() throws Exception {
    try (TestImage host = host(TestImage::echo)) {
      byte[] input = new byte[300 << 10];
      assertThrows(
          IOException.class,
          () ->
              HostClient.call(
                  host.socket, host.image, List.of("bridge"), Map.of(), input, TestImage.TIMEOUT));
      assertEquals(List.of(), host.server.status().calls());
      assertEquals(1, host.server.status().refused());
      for (int body : List.of(HostProtocol.MAX_BODY + 1, Integer.MAX_VALUE, -1)) {
        byte[] reply = exchange(host.socket, header(HostProtocol.MAGIC, body, 1, 0, 0), 1);
        String reason = "the request is larger than 128 KiB";
        assertArrayEquals(HostProtocol.Frame.REFUSED.bytes(reason), reply);
        assertEquals(reason, host.server.status().lastRefusal());
      }
      assertEquals(4, host.server.status().refused());
    }
  }

  /** Sends bytes with the descriptor of a namespace and returns what comes back, up to the end. */
  private static byte[] exchange(Path socket, byte[] request, int descriptors) throws Exception {
    try (UnixConnection connection = UnixConnection.connect(socket);
        NetNs netns = NetNs.current()) {
      connection.send(request, Collections.nCopies(descriptors, netns.fd()), TestImage.TIMEOUT);
      return RawReply.readToEnd(connection);
    }
  }

  private static byte[] header(int magic, int body, int arguments, int variables, int input) {
    return ByteBuffer.allocate(HostProtocol.HEADER_LENGTH)
        .order(ByteOrder.nativeOrder())
        .putInt(magic)
        .putInt(body)
        .putInt(72, arguments)
        .putInt(76, variables)
        .putInt(80, input)
        .array();
  }

  @Test
  void hostileBytesHarmNobody() throws Exception {
    try (TestImage host = host(TestImage::echo)) {
      int magic = HostProtocol.MAGIC;
      List<byte[]> requests =
          List.of(
              "GET / HTTP/1.0\r\n\r\n".repeat(10).getBytes(StandardCharsets.US_ASCII),
              header(magic + 1, 0, 1, 0, 0),
              header(magic, 0, 1, 0, 0),
              header(magic, 0, Integer.MAX_VALUE, Integer.MAX_VALUE, 0),
              header(magic, 0, -1, -1, -1),
              header(magic, 0, 0, 0, 0),
              ByteBuffer.allocate(89).put(header(magic, 0, 1, 0, 0)).array());
      for (byte[] request : requests) {
        for (int descriptors : List.of(0, 1, 2, 3, 50)) {
          assertEquals(0, exchange(host.socket, request, descriptors).length);
        }
      }
      assertEquals(7, host.call(Map.of(), "bridge").status());
      long open = openDescriptors();
      for (int i = 0; i < 200; i++) {
        exchange(host.socket, requests.get(i % requests.size()), 3);
      }
      assertTrue(openDescriptors() <= open + 3, "descriptors of closed connections stay open");
    }
  }

  private static long openDescriptors() throws IOException {
    try (var files = Files.list(Path.of("/proc/self/fd"))) {
      return files.count();
    }
  }

  @Test
  void thousandsOfIdleConnectionsKeepNobodyOut() throws Exception {
    try (TestImage host = host(TestImage::echo)) {
      List<UnixConnection> idle = new ArrayList<>();
      try {
        for (int i = 0; i < 10_000; i++) {
          idle.add(UnixConnection.connect(host.socket));
          if (i % 1000 == 0) {
            idle.getLast().send(new byte[] {'C'}, TestImage.TIMEOUT);
            assertEquals(7, host.call(Map.of(), "bridge").status());
          }
          if (idle.size() > 500) { // the limit of open files of this process, not the host's
            idle.removeFirst().close();
          }
        }
        assertEquals(7, host.call(Map.of(), "bridge").status());
        assertTrue(openDescriptors() < 2_000);
      } finally {
        idle.forEach(UnixConnection::close);
      }
    }
  }
}
