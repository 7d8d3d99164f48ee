// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Deadline;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

class UnreachableEtcdTest {
  /** Of the time of a call, on a loaded machine; less than another attempt would take. */
  private static final Duration MARGIN = Duration.ofMillis(1500);

  private static final String HTML = "<html><body>Bad Gateway</body></html>";

  @TempDir private Path directory;
  private final List<FakeServer> servers = new ArrayList<>();

  /** Endpoints, each with what a message says about it. */
  private final Map<String, String> reasons = new LinkedHashMap<>();

  @BeforeEach
  void start() throws IOException {
    reasons.put("http://127.0.0.1:1", "cannot be connected to: no process listens there");
    add(FakeServer.silent(), "has not answered within");
    add(new FakeServer(_ -> {}), "has closed the connection");
    add(FakeServer.answering("SSH-2.0-OpenSSH\r\n\r\n"), "does not answer in HTTP");
    add(FakeServer.answering(FakeServer.http("502 Bad Gateway", HTML)), "answers: HTTP status 502");
    add(
        FakeServer.answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
        "has not completed its answer");
    add(
        new FakeServer(
            connection -> {
              FakeServer.readRequest(connection.getInputStream());
              connection
                  .getOutputStream()
                  .write(
                      "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"
                          .getBytes(StandardCharsets.US_ASCII));
              Thread.sleep(Long.MAX_VALUE);
            }),
        "has not answered within");
  }

  private void add(FakeServer server, String reason) {
    servers.add(server);
    reasons.put(server.url(), reason);
  }

  @AfterEach
  void stop() throws IOException {
    for (FakeServer it : servers) {
      it.close();
    }
  }

  private TestNode node(String ipam) {
    return TestNode.of("a", List.copyOf(reasons.keySet()), directory)
        .with(ipam + "," + TestNode.DUAL_STACK);
  }

  private static Duration timeOf(Executable call) throws Throwable {
    long start = System.nanoTime();
    call.execute();
    return Duration.ofNanos(System.nanoTime() - start);
  }

  private void requireFailure(int code, Duration timeout, Executable call) throws Throwable {
    Duration time =
        timeOf(
            () -> {
              CniException e = assertThrows(CniException.class, call);
              assertEquals(code, e.code(), e::getMessage);
              // The command line prints suppressed exceptions as failures to clean up.
              assertEquals(0, e.getSuppressed().length);
              assertNotNull(e.getCause());
              reasons.forEach(
                  (url, reason) ->
                      assertTrue(
                          e.getMessage().contains(url + " " + reason),
                          () -> url + " " + reason + " is not in: " + e.getMessage()));
            });
    assertTrue(time.compareTo(timeout.plus(MARGIN)) < 0, time::toString);
  }

  @Test
  void everyCallFailsWithinTheTimeoutAndNamesEveryEndpoint() throws Throwable {
    TestNode node = node("\"timeout\":4");
    Duration timeout = Duration.ofSeconds(4);
    requireFailure(11, timeout, () -> node.add("c"));
    requireFailure(11, timeout, () -> node.delete("c"));
    requireFailure(11, timeout, () -> node.gc("c"));
    requireFailure(50, timeout, node::status);
  }

  @Test
  void addFailsWithinTheDeadlineOfTheRequest() throws Throwable {
    TestNode node = node("\"timeout\":600");
    AttachmentRequest request = node.request("c", Map.of());
    var limited =
        new AttachmentRequest(
            request.config(),
            request.attachment(),
            Optional.empty(),
            TestNode.context(Deadline.after(Duration.ofSeconds(2))));
    requireFailure(11, Duration.ofSeconds(2), () -> node.plugin().add(limited));
  }

  /** Its tokens have always expired, so that a request takes up to four exchanges. */
  private static FakeServer slowlyAuthenticating() throws IOException {
    return new FakeServer(
        connection -> {
          String request = FakeServer.readRequest(connection.getInputStream());
          Thread.sleep(1200);
          String answer =
              request.contains("/v3/auth/authenticate")
                  ? FakeServer.http("200 OK", "{\"header\":{},\"token\":\"t\"}")
                  : FakeServer.http(
                      "401 Unauthorized", "{\"message\":\"invalid auth token\",\"code\":16}");
          connection.getOutputStream().write(answer.getBytes(StandardCharsets.US_ASCII));
        });
  }

  @Test
  void authenticationCountsTowardsTheTimeout() throws Throwable {
    try (FakeServer slow = slowlyAuthenticating()) {
      TestNode node =
          TestNode.of("a", List.of(slow.url()), directory)
              .with("\"timeout\":2,\"user\":\"u\",\"password\":\"p\"," + TestNode.DUAL_STACK);
      reasons.clear();
      reasons.put(slow.url(), "has not answered within");
      requireFailure(11, Duration.ofSeconds(2), () -> node.delete("c"));
    }
  }

  @Test
  void interruptEndsACallAndLeavesTheStatusSet() throws Exception {
    for (FakeServer silent : List.of(servers.getFirst(), servers.getLast())) {
      TestNode node = TestNode.of("a", List.of(silent.url()), directory);
      List<CniException> failures = new CopyOnWriteArrayList<>();
      var isInterrupted = new AtomicBoolean();
      Thread thread =
          Thread.ofPlatform()
              .start(
                  () -> {
                    failures.add(assertThrows(CniException.class, () -> node.add("c")));
                    isInterrupted.set(Thread.currentThread().isInterrupted());
                  });
      while (silent.connections() == 0) {
        Thread.sleep(10);
      }
      Thread.sleep(100);
      thread.interrupt();
      assertTrue(thread.join(Duration.ofSeconds(3)), "the call goes on");
      assertEquals(11, failures.getFirst().code(), failures::toString);
      assertTrue(isInterrupted.get());
    }
  }

  @Test
  void oversizedAnswersAreNotReadToTheirEnd() throws Exception {
    FakeServer endless =
        new FakeServer(
            connection -> {
              FakeServer.readRequest(connection.getInputStream());
              connection
                  .getOutputStream()
                  .write("HTTP/1.1 200 OK\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
              while (true) {
                connection.getOutputStream().write(new byte[1 << 16]);
              }
            });
    servers.add(endless);
    TestNode node =
        TestNode.of("a", List.of(endless.url()), directory)
            .with("\"timeout\":3," + TestNode.DUAL_STACK);
    CniException e = assertThrows(CniException.class, () -> node.add("c"));
    assertEquals(11, e.code());
    assertTrue(e.getMessage().contains("exceeds capacity"), e::getMessage);
  }

  @Test
  void pagesOfOtherServersAreReportedAsAWrongConfiguration() throws Exception {
    for (String it :
        List.of(
            FakeServer.http("404 Not Found", "404 page not found\n"),
            FakeServer.http("200 OK", HTML),
            FakeServer.http("200 OK", "{}"),
            FakeServer.http("200 OK", "[]"),
            FakeServer.http("200 OK", ""),
            FakeServer.http("200 OK", "{\"a\":".repeat(100_000)),
            FakeServer.http("302 Found\r\nLocation: http://127.0.0.1:1/", ""),
            FakeServer.http("401 Unauthorized", HTML))) {
      try (FakeServer other = FakeServer.answering(it)) {
        TestNode node = TestNode.of("a", List.of(other.url()), directory);
        CniException e = assertThrows(CniException.class, () -> node.add("c"));
        assertEquals(7, e.code(), e::getMessage);
        assertTrue(e.getMessage().contains(other.url()), e::getMessage);
      }
    }
  }
}
