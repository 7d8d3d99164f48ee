package cni.daemon;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.unix.UnixConnection;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The host's side of the protocol, with handlers that run no plugins. */
class HostServerTest {
  @TempDir private Path directory;

  private static int echo(CallerRequest request, PrintStream out, PrintStream err) {
    out.print(request.name() + " " + request.variable("CNI_COMMAND"));
    out.print(" " + input(request));
    err.print(request.directory());
    return 7;
  }

  private static String input(CallerRequest request) {
    try {
      return new String(request.input().readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private TestImage host(RequestHandler handler) throws Exception {
    return new TestImage(directory, 2, Duration.ofMillis(100), handler);
  }

  @Test
  void requestIsServedAndItsOutputsAndStatusArrive() throws Exception {
    try (TestImage host = host(HostServerTest::echo)) {
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
  void socketBelongsToTheOwnerAloneWhateverTheUmaskAndEndsWithTheHost() throws Exception {
    Path socket;
    try (TestImage host = host(HostServerTest::echo)) {
      socket = host.socket;
      assertEquals(
          "rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)));
    }
    assertTrue(Files.notExists(socket));
  }

  @Test
  void secondHostIsRefusedAndSocketOfADeadOneIsReplaced() throws Exception {
    try (TestImage host = host(HostServerTest::echo)) {
      CniException e = assertThrows(CniException.class, () -> host(HostServerTest::echo));
      assertEquals(4, e.code());
      assertTrue(e.getMessage().contains("another host serves " + host.socket), e::getMessage);
      assertEquals(7, host.call(Map.of(), "bridge").status());
    }
    try (var _ = cni.netlink.ffm.unix.UnixListener.bind(directory.resolve("cni.sock"))) {
      assertTrue(Files.exists(directory.resolve("cni.sock")));
    }
    try (TestImage host = host(HostServerTest::echo)) {
      assertEquals(7, host.call(Map.of(), "bridge").status());
    }
  }

  @Test
  void anotherFileInPlaceOfTheSocketIsKept() throws Exception {
    Files.writeString(directory.resolve("cni.sock"), "precious");
    CniException e = assertThrows(CniException.class, () -> host(HostServerTest::echo));
    assertTrue(e.getMessage().contains("is not a socket"), e::getMessage);
    assertEquals("precious", Files.readString(directory.resolve("cni.sock")));
  }

  @Test
  void callerOfAnotherBuildIsRefused() throws Exception {
    try (TestImage host = host(HostServerTest::echo)) {
      Files.writeString(host.image.resolve("lib/modules"), "newer");
      HostClient.Reply reply = host.call(Map.of(), "bridge");
      assertTrue(reply.refusal().contains("another build"), reply::refusal);
      assertEquals(1, host.server.status().refused());
      assertEquals(List.of(), host.server.status().calls());
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
          out.print(input(request));
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
    try (TestImage host = host(HostServerTest::echo)) {
      byte[] input = new byte[300 << 10];
      assertThrows(
          IOException.class,
          () ->
              HostClient.call(
                  host.socket, host.image, List.of("bridge"), Map.of(), input, TestImage.TIMEOUT));
      assertEquals(List.of(), host.server.status().calls());
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
    try (TestImage host = host(HostServerTest::echo)) {
      int magic = HostProtocol.MAGIC;
      List<byte[]> requests =
          List.of(
              "GET / HTTP/1.0\r\n\r\n".repeat(10).getBytes(StandardCharsets.US_ASCII),
              header(magic + 1, 0, 1, 0, 0),
              header(magic, -1, 1, 0, 0),
              header(magic, Integer.MAX_VALUE, 1, 0, 0),
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
    try (TestImage host = host(HostServerTest::echo)) {
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

  @Test
  void callsOfOneAttachmentRunInOrderAndOthersAtOnce() throws Exception {
    var most = new AtomicInteger();
    var running = new AtomicInteger();
    List<String> order = Collections.synchronizedList(new ArrayList<>());
    RequestHandler slow =
        (request, out, err) -> {
          most.accumulateAndGet(running.incrementAndGet(), Math::max);
          pause(50);
          order.add(request.variable("N"));
          running.decrementAndGet();
          return 0;
        };
    try (TestImage host = host(slow);
        ExecutorService callers = Executors.newCachedThreadPool()) {
      List<Future<HostClient.Reply>> replies = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        Map<String, String> environment =
            Map.of("CNI_CONTAINERID", "c", "CNI_IFNAME", "eth0", "N", "" + i);
        replies.add(callers.submit(() -> host.call(environment, "bridge")));
        pause(15);
      }
      for (Future<HostClient.Reply> reply : replies) {
        assertEquals(0, reply.get().status());
      }
      assertEquals(List.of("0", "1", "2", "3", "4", "5"), order);
      assertEquals(1, most.get());
      List<Callable<HostClient.Reply>> calls =
          Collections.nCopies(20, () -> host.call(Map.of("N", "x"), "bridge"));
      for (Future<HostClient.Reply> reply : callers.invokeAll(calls)) {
        assertEquals(0, reply.get().status());
      }
      assertEquals(2, most.get(), "the bound on running calls");
    }
  }

  /** An executable that runs for a call makes another one, while all places are taken. */
  @Test
  void nestedCallsDoNotWaitForTheOnesThatWaitForThem() throws Exception {
    var host = new TestImage[1];
    RequestHandler nesting =
        (request, out, err) -> {
          if (request.name().equals("inner")) {
            return 3;
          }
          try {
            return host[0]
                .call(Map.of(CallerRequest.NESTED_VARIABLE, "1", "CNI_CONTAINERID", "c"), "inner")
                .status();
          } catch (IOException e) {
            throw new IllegalStateException(e);
          }
        };
    try (TestImage only = new TestImage(directory, 1, Duration.ofMillis(100), nesting)) {
      host[0] = only;
      assertEquals(3, only.call(Map.of("CNI_CONTAINERID", "c"), "outer").status());
    }
  }

  @Test
  void callIsInterruptedWhenItsCallerGoes() throws Exception {
    var begun = new CountDownLatch(1);
    var interrupted = new CountDownLatch(1);
    RequestHandler sleeping =
        (request, out, err) -> {
          begun.countDown();
          try {
            Thread.sleep(60_000);
          } catch (InterruptedException e) {
            interrupted.countDown();
          }
          return 0;
        };
    try (TestImage host = host(sleeping)) {
      try (ExecutorService caller = Executors.newSingleThreadExecutor()) {
        Future<?> reply =
            caller.submit(
                () ->
                    assertThrows(
                        IOException.class,
                        () ->
                            HostClient.call(
                                host.socket,
                                host.image,
                                List.of("bridge"),
                                Map.of(),
                                new byte[0],
                                Duration.ofMillis(300))));
        assertTrue(begun.await(10, TimeUnit.SECONDS));
        reply.get();
      }
      assertTrue(interrupted.await(10, TimeUnit.SECONDS), "the call goes on without its caller");
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void stopWaitsForCallsThenInterruptsThem(boolean quick) throws Exception {
    var begun = new CountDownLatch(1);
    RequestHandler working =
        (request, out, err) -> {
          begun.countDown();
          try {
            Thread.sleep(quick ? 500 : 60_000);
            return 0;
          } catch (InterruptedException e) {
            return 11;
          }
        };
    Duration drain = quick ? Duration.ofSeconds(30) : Duration.ofMillis(50);
    TestImage host = new TestImage(directory, 2, drain, working);
    try (ExecutorService caller = Executors.newSingleThreadExecutor()) {
      Future<HostClient.Reply> reply = caller.submit(() -> host.call(Map.of(), "bridge"));
      assertTrue(begun.await(10, TimeUnit.SECONDS));
      Thread stopping = Thread.ofPlatform().start(host.server::stop);
      while (!host.server.status().draining()) {
        pause(5);
      }
      HostClient.Reply late = quick ? host.call(Map.of(), "bridge") : reply.get();
      assertEquals(quick, late.refusal().contains("about to end"), late::refusal);
      assertEquals(quick ? 0 : 11, reply.get().status());
      stopping.join();
      assertFalse(stopping.isAlive());
    }
    host.close();
  }

  private static void pause(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
