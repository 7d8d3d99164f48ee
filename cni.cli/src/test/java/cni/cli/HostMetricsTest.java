// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.daemon.CallerRequest;
import cni.daemon.HostServer;
import cni.daemon.HostSettings;
import cni.daemon.HostStatus;
import cni.doctor.metrics.MetricsAddress;
import cni.doctor.metrics.MetricsText;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

/** The metrics of a resident host in this process, read from its socket. */
@KernelTest
class HostMetricsTest {
  private static final String CALLS = "cni_plugin_call_duration_seconds_count";

  private final TestHost host;
  private final Path socket;
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  HostMetricsTest(TestHost host) {
    this.host = host;
    socket = host.directory().resolve("metrics.sock");
  }

  private int run(HostedRequests requests, String verb, NetNs container) {
    var request =
        new CallerRequest(
            List.of(
                "cni", verb, "--cache", host.cache().toString(), "n", container.path().toString()),
            Map.of("NETCONFPATH", host.networks().toString(), "CNI_PATH", "", "PATH", "/bin"),
            host.directory(),
            InputStream.nullInputStream(),
            Optional.of(host.netns().path()));
    var out = new PrintStream(new ByteArrayOutputStream(), true, UTF_8);
    return requests.handle(request, out, new PrintStream(err, true, UTF_8));
  }

  private String scrape() throws IOException {
    try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
      channel.write(ByteBuffer.wrap("GET /metrics HTTP/1.1\r\n\r\n".getBytes(UTF_8)));
      return new String(Channels.newInputStream(channel).readAllBytes(), UTF_8);
    }
  }

  private HostSettings settings() {
    return new HostSettings(
        host.directory().resolve("cni.sock"),
        OptionalInt.empty(),
        Image.directory(),
        "1",
        1,
        Duration.ZERO);
  }

  @Test
  void callsOfPluginsAndDelegatesAreCountedByOutcome() throws Exception {
    host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted(""));
    NetNs a = host.container("a");
    NetNs absent = host.container("absent");
    host.delete(absent);
    try (var requests = new HostedRequests();
        var server = HostServer.open(settings(), requests)) {
      assertEquals(0, run(requests, "add", a), () -> err.toString(UTF_8)); // before: not counted
      try (var _ =
          HostMetrics.serve(
              new MetricsAddress.UnixSocket(socket),
              host.networks(),
              host.cache(),
              requests,
              server)) {
        assertEquals(0, run(requests, "check", a), () -> err.toString(UTF_8));
        assertEquals(0, run(requests, "del", a), () -> err.toString(UTF_8));
        assertEquals(0, run(requests, "add", a), () -> err.toString(UTF_8));
        TestBed.run(a, "ip", "link", "set", "eth0", "down");
        assertEquals(1, run(requests, "check", a));
        String text = scrape();
        assertContains(text, CALLS + label("bridge", "CHECK", "success") + " 1\n");
        assertContains(text, CALLS + label("bridge", "CHECK", "error") + " 1\n");
        assertContains(text, CALLS + label("bridge", "ADD", "success") + " 1\n");
        assertContains(text, CALLS + label("host-local", "ADD", "success") + " 1\n");
        assertContains(text, CALLS + label("host-local", "DEL", "success") + " 1\n");
        assertContains(text, "cni_attachments{network=\"n\",state=\"present\"} 1\n");
        assertContains(
            text, "cni_pool_addresses_used{network=\"n\",range=\"10.50.0.1-10.50.0.254\"} 1\n");
        assertContains(text, "cni_build_info{version=");
        assertFalse(text.contains("cni_host_threads 0\n"), text);
      }
    }
  }

  private static String label(String plugin, String verb, String outcome) {
    return "{plugin=\"%s\",verb=\"%s\",outcome=\"%s\"}".formatted(plugin, verb, outcome);
  }

  private static void assertContains(String text, String part) {
    assertTrue(text.contains(part), part + " is not in " + text);
  }

  @Test
  void statusIsWrittenInBaseUnits() {
    var status =
        new HostStatus(
            "1",
            Optional.empty(),
            42,
            Instant.ofEpochMilli(1_500),
            Path.of("/run/cni/cni.sock"),
            false,
            3,
            2,
            7,
            "",
            4,
            11,
            List.of(new HostStatus.Calls("bridge", "ADD", 10, 4, 1000, 2000)));
    var text = new MetricsText();
    HostMetrics.writeHost(status, text);
    String written = text.toString().replaceAll("(?m)^#.*\n", "");
    assertEquals(
        """
        cni_host_start_time_seconds 1.5
        cni_host_resident_memory_bytes 4096
        cni_host_threads 11
        cni_host_requests_in_flight 3
        cni_host_requests_waiting 2
        cni_host_requests_refused_total 7
        cni_host_requests_total{plugin="bridge",verb="ADD",outcome="success"} 6
        cni_host_requests_total{plugin="bridge",verb="ADD",outcome="error"} 4
        """,
        written);
  }
}
