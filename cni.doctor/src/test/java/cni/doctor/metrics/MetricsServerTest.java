// SPDX-License-Identifier: Apache-2.0
package cni.doctor.metrics;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.ErrorCode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The metrics endpoint, over real sockets. */
@Timeout(60)
class MetricsServerTest {
  private static final String GET = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

  @TempDir Path directory;

  private MetricsServer start(MetricsServer.Source source) throws CniException {
    return MetricsServer.start(new MetricsAddress.UnixSocket(socket()), source);
  }

  private Path socket() {
    return directory.resolve("metrics.sock");
  }

  private String request(String text) throws IOException {
    return request(UnixDomainSocketAddress.of(socket()), text);
  }

  private static String request(SocketAddress address, String text) throws IOException {
    try (SocketChannel channel = SocketChannel.open(address)) {
      channel.write(ByteBuffer.wrap(text.getBytes(UTF_8)));
      return read(channel);
    }
  }

  private static String read(SocketChannel channel) throws IOException {
    var bytes = new ByteArrayOutputStream();
    Channels.newInputStream(channel).transferTo(bytes);
    return bytes.toString(UTF_8);
  }

  @Test
  void socketServesMetricsToItsOwnerOnly() throws Exception {
    try (var _ = start(() -> "m 1 é\n")) {
      assertEquals(
          List.of(
              "HTTP/1.1 200 OK",
              "Content-Type: text/plain; version=0.0.4; charset=utf-8",
              "Content-Length: 7",
              "Connection: close",
              "",
              "m 1 é\n"),
          List.of(request(GET).split("\r\n", -1)));
      assertEquals(
          "rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(socket())));
    }
    assertFalse(Files.exists(socket()));
  }

  @Test
  void loopbackPortServesMetrics() throws Exception {
    try (var server = MetricsServer.start(MetricsAddress.parse("127.0.0.1:0"), () -> "m 1\n")) {
      var address = (MetricsAddress.Loopback) server.address();
      assertTrue(request(address.address(), GET).endsWith("\r\n\r\nm 1\n"));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "'HEAD /metrics HTTP/1.1', 200",
    "'GET /metrics?name=x HTTP/1.0', 200",
    "'GET http://x/metrics HTTP/1.1', 200",
    "'GET HTTP://x:9469/metrics?a=b HTTP/1.1', 200",
    "'GET http://x HTTP/1.1', 404",
    "'GET / HTTP/1.1', 404",
    "'GET /metrics/ HTTP/1.1', 404",
    "'POST /metrics HTTP/1.1', 405",
    "'GET /metrics', 400",
    "'', 400"
  })
  void otherRequestsAreAnswered(String line, int status) throws Exception {
    try (var _ = start(() -> "m 1\n")) {
      String response = request(line + "\r\n\r\n");
      assertTrue(response.startsWith("HTTP/1.1 " + status + " "), response);
      assertEquals(line.startsWith("HEAD"), response.endsWith("\r\n\r\n"), response);
    }
  }

  @Test
  void headThatIsTooLongIsRefused() throws Exception {
    try (var _ = start(() -> "m 1\n")) {
      String head = "GET /metrics HTTP/1.1\r\nX: ";
      String response = request(head + "y".repeat((8 << 10) - head.length()));
      assertTrue(response.startsWith("HTTP/1.1 400 "), response);
    }
  }

  @Test
  void failureIsReportedAndTheNextScrapeTriesAgain() throws Exception {
    var calls = new AtomicInteger();
    MetricsServer.Source source =
        () -> {
          if (calls.getAndIncrement() == 0) {
            throw new CniException(ErrorCode.IO_FAILURE, "the cache cannot be read");
          }
          return "m 1\n";
        };
    try (var _ = start(source)) {
      String failed = request(GET);
      assertTrue(failed.startsWith("HTTP/1.1 500 "), failed);
      assertTrue(failed.endsWith("the cache cannot be read\n"), failed);
      assertTrue(request(GET).endsWith("m 1\n"));
    }
  }

  @Test
  void scrapesWithinASecondShareOneText() throws Exception {
    var calls = new AtomicInteger();
    try (var _ = start(() -> "m " + calls.incrementAndGet() + "\n")) {
      String first = request(GET);
      assertEquals(first, request(GET));
      Thread.sleep(1100);
      assertTrue(request(GET).endsWith("m 2\n"));
    }
  }

  @Test
  void theOldestIdleConnectionGivesWay() throws Exception {
    List<SocketChannel> idle = new ArrayList<>();
    try (var _ = start(() -> "m 1\n")) {
      for (int i = 0; i < 8; i++) {
        idle.add(SocketChannel.open(UnixDomainSocketAddress.of(socket())));
      }
      long start = System.nanoTime();
      assertTrue(request(GET).endsWith("m 1\n"));
      assertEquals(-1, idle.getFirst().read(ByteBuffer.allocate(1)));
      SocketChannel youngest = idle.getLast();
      youngest.write(ByteBuffer.wrap(GET.getBytes(UTF_8)));
      assertTrue(read(youngest).endsWith("m 1\n"));
      double seconds = (System.nanoTime() - start) / 1e9;
      assertTrue(seconds < 4, "served after " + seconds + " s, when idle connections time out");
    } finally {
      for (SocketChannel it : idle) {
        it.close();
      }
    }
  }

  @Test
  void idleConnectionsEnd() throws Exception {
    try (var _ = start(() -> "m 1\n");
        SocketChannel idle = SocketChannel.open(UnixDomainSocketAddress.of(socket()))) {
      assertEquals(-1, idle.read(ByteBuffer.allocate(1)));
    }
  }

  /** Another request than the eight that are being answered has to come again. */
  @Test
  void connectionsThatAreAnsweredStay() throws Exception {
    var answer = new CountDownLatch(1);
    List<SocketChannel> asking = new ArrayList<>();
    MetricsServer.Source source =
        () -> {
          try {
            assertTrue(answer.await(30, TimeUnit.SECONDS));
          } catch (InterruptedException e) {
            throw CniException.interrupted("waiting");
          }
          return "m 1\n";
        };
    try (var _ = start(source)) {
      for (int i = 0; i < 8; i++) {
        SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket()));
        channel.write(ByteBuffer.wrap(GET.getBytes(UTF_8)));
        asking.add(channel);
      }
      Thread.sleep(500);
      assertEquals("", tryRequest());
      answer.countDown();
      for (SocketChannel it : asking) {
        assertTrue(read(it).endsWith("m 1\n"));
      }
    } finally {
      for (SocketChannel it : asking) {
        it.close();
      }
    }
  }

  private String tryRequest() {
    try {
      return request(GET);
    } catch (IOException e) {
      return ""; // closed before the request was read
    }
  }

  @Test
  void noDirectoryIsCreated() {
    Path missing = directory.resolve("none/m.sock");
    var e =
        assertThrows(
            CniException.class,
            () -> MetricsServer.start(new MetricsAddress.UnixSocket(missing), () -> ""));
    assertEquals(4, e.code());
    assertTrue(
        e.getMessage()
            .equals(
                "--metrics unix:%s: there is no directory %s; create it, or use unix:/run/cni/metrics.sock"
                    .formatted(missing, missing.getParent())),
        e.getMessage());
    assertFalse(Files.exists(directory.resolve("none")));
  }

  @Test
  void socketOfAKilledProcessIsReplacedAndOthersAreNot() throws Exception {
    ServerSocketChannel.open(StandardProtocolFamily.UNIX)
        .bind(UnixDomainSocketAddress.of(socket()))
        .close();
    assertTrue(Files.exists(socket()));
    try (var _ = start(() -> "m 1\n")) {
      assertTrue(request(GET).endsWith("m 1\n"));
      var e = assertThrows(CniException.class, () -> start(() -> ""));
      assertEquals(4, e.code());
      assertTrue(e.getMessage().contains("another process serves"), e.getMessage());
      assertTrue(request(GET).endsWith("m 1\n"));
    }
    Files.writeString(socket(), "precious");
    var e = assertThrows(CniException.class, () -> start(() -> ""));
    assertTrue(e.getMessage().contains("is not a socket"), e.getMessage());
    assertEquals("precious", Files.readString(socket()));
  }
}
