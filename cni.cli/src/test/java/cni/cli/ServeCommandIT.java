// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.cli.ImageRunner.CommandOutput;
import cni.netlink.ffm.process.ChildProcess;
import cni.netlink.ffm.unix.UnixConnection;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The process of the resident host: its limits, its socket, its start and its end. */
@KernelTest(commands = {"setpriv", "prlimit"})
class ServeCommandIT {
  private static final Path TEMPORARY = Path.of("/tmp");

  private TestHost host;
  private ImageRunner image;

  @BeforeEach
  void open() throws Exception {
    host = new TestHost();
    image = new ImageRunner(host);
  }

  @AfterEach
  void close() throws Exception {
    host.close();
  }

  @Test
  void removedSocketIsCreatedAgain() throws Exception {
    try (var resident = new ResidentHost(image)) {
      Files.delete(resident.socket());
      resident.awaitLog(resident.socket() + " was removed or replaced");
      await(() -> Files.exists(resident.socket()));
      assertEquals(0, resident.status().path("refused").asInt(-1));
    }
  }

  @Test
  void lackOfDescriptorsIsReportedOnceAndTheHostRecovers() throws Exception {
    try (var resident = ResidentHost.withMaxFiles(image, 100)) {
      assertEquals(0, resident.status().path("inFlight").asInt(-1));
      List<UnixConnection> idle = new ArrayList<>();
      try {
        for (int i = 0; i < 200; i++) {
          idle.add(UnixConnection.connect(resident.socket()));
        }
        resident.awaitLog("no connection is accepted");
        resident.readLog(Duration.ofMillis(500));
      } finally {
        idle.forEach(UnixConnection::close);
      }
      assertEquals(0, resident.status().path("inFlight").asInt(-1));
      assertEquals(2, resident.log().split("no connection is accepted", -1).length, resident::log);
    }
  }

  @Test
  void signalDuringTheWarmUpLeavesNoFiles() throws Exception {
    Set<Path> before = warmUpDirectories();
    Path socket = host.directory().resolve("cni.sock");
    try (ChildProcess process =
        image.start(Map.of(), "serve", "--daemon", "none", "--socket", socket.toString())) {
      Set<Path> created = new HashSet<>();
      await(
          () -> {
            created.addAll(warmUpDirectories());
            created.removeAll(before);
            return !created.isEmpty();
          });
      process.terminate();
      await(() -> process.communicate(Duration.ofMillis(10)));
      assertFalse(process.errorOutput().contains("serves"), "the warm-up was too quick");
      assertEquals("", process.errorOutput());
      await(() -> created.stream().noneMatch(Files::exists));
    }
  }

  private static Set<Path> warmUpDirectories() throws IOException {
    try (var files = Files.list(TEMPORARY)) {
      return files
          .filter(it -> it.getFileName().toString().startsWith("cni-warm-up-"))
          .collect(Collectors.toSet());
    }
  }

  @Test
  void metricsAreServedUntilTheHostEnds() throws Exception {
    Path metrics = host.directory().resolve("metrics.sock");
    try (var resident = new ResidentHost(image, "--metrics", "unix:" + metrics)) {
      resident.awaitLog("serves metrics at unix:" + metrics);
      try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(metrics))) {
        channel.write(ByteBuffer.wrap("GET /metrics HTTP/1.1\r\n\r\n".getBytes(UTF_8)));
        String text = new String(Channels.newInputStream(channel).readAllBytes(), UTF_8);
        assertTrue(text.contains("\ncni_host_requests_in_flight 0\n"), text);
        assertFalse(
            text.contains("cni_plugin_call_duration_seconds_count{"), "the warm-up's calls");
      }
      resident.terminate();
      assertTrue(Files.notExists(metrics));
    }
  }

  @Test
  void otherUsersLearnThatRootIsNeeded() throws Exception {
    try (var resident = new ResidentHost(image)) {
      Files.setPosixFilePermissions(host.directory(), PosixFilePermissions.fromString("rwxr-xr-x"));
      String serve =
          "setpriv --reuid=65534 --regid=65534 --clear-groups $IMAGE/bin/cni serve --socket "
              + resident.socket();
      CommandOutput second = image.shell(Map.of(), serve, "");
      assertEquals(1, second.status());
      assertTrue(second.err().contains("the host must run as root; run this command with sudo"));
      CommandOutput status = image.shell(Map.of(), serve + " --status", "");
      assertEquals(1, status.status());
      assertTrue(status.err().contains("answers root only; run this command as root, with sudo"));
    }
  }

  /** A condition that another process makes true. */
  private interface Condition {
    boolean holds() throws Exception;
  }

  private static void await(Condition condition) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (!condition.holds()) {
      assertTrue(System.nanoTime() < end, "nothing happens");
      Thread.sleep(2);
    }
  }
}
