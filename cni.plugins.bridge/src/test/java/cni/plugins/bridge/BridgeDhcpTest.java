// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.InetAddresses;
import cni.api.PluginDaemon;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.DhcpServer;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.ServiceLoader;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** bridge with dhcp: the server is reached through a port of the bridge. */
@KernelTest(commands = {"dnsmasq"})
class BridgeDhcpTest {
  private static final String RANGE = "--dhcp-range=192.0.2.50,192.0.2.60,255.255.255.0,10m";

  /** Configures the network, and returns the namespace of the server. */
  private static NetNs network(TestHost host, String ipamOptions) throws IOException {
    NetNs outside = host.outside();
    Files.createDirectories(host.ipamData());
    TestBed.run(host.netns(), "ip", "link", "add", "br9", "type", "bridge");
    TestBed.run(host.netns(), "ip", "link", "set", "up0", "master", "br9");
    TestBed.run(host.netns(), "ip", "link", "set", "br9", "up");
    host.network(
        "n",
        "1.1.0",
        "{\"type\":\"bridge\",\"bridge\":\"br9\",\"ipam\":{\"type\":\"dhcp\"%s}}"
            .formatted(ipamOptions));
    return outside;
  }

  private static String released(Result result) {
    return "DHCPRELEASE\\(up1\\) "
        + InetAddresses.format(result.ips().getFirst().address().address());
  }

  @Test
  void leaseIsAcquiredAndReleasedThroughTheBridge(TestHost host) throws Exception {
    NetNs a = host.container("a");
    NetNs outside = network(host, "");
    try (DhcpServer server = DhcpServer.dnsmasq(outside, "up1", host.ipamData(), RANGE);
        Cni cni = host.openCni()) {
      Result result = cni.network("n").add(attachment(a));
      assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
      cni.network("n").check(attachment(a));
      cni.network("n").delete(attachment(a));
      server.awaitLog(released(result));
    }
  }

  /** The daemon in the process of the resident plugin, which its leases are left to. */
  private record Daemon(Path socket, FutureTask<Boolean> task, Thread thread) {
    static Daemon start(TestHost host, Path socket) throws Exception {
      FutureTask<Boolean> task = task(host, socket);
      Thread thread = Thread.ofPlatform().start(task);
      for (int i = 0; i < 200 && Files.notExists(socket) && !task.isDone(); i++) {
        Thread.sleep(50);
      }
      return new Daemon(socket, task, thread);
    }

    private static FutureTask<Boolean> task(TestHost host, Path socket) {
      PluginDaemon dhcp =
          ServiceLoader.load(PluginDaemon.class).stream()
              .map(ServiceLoader.Provider::get)
              .filter(it -> it.type().equals("dhcp"))
              .findFirst()
              .orElseThrow();
      String leases = host.ipamData().resolve("kept").toString();
      return new FutureTask<>(
          () -> {
            dhcp.run(List.of("-socketpath", socket.toString(), "-leases", leases));
            return Thread.currentThread().isInterrupted();
          });
    }

    void stop() throws Exception {
      thread.interrupt();
      assertTrue(task.get(20, TimeUnit.SECONDS));
      assertFalse(Files.exists(socket));
    }
  }

  @Test
  void hostThatRunsTheDaemonSharesItsLeasesWithOtherCallers(TestHost host) throws Exception {
    NetNs a = host.container("a");
    Path socket = host.ipamData().resolve("run").resolve("dhcp.sock");
    NetNs outside = network(host, ",\"daemonSocketPath\":\"" + socket + "\"");
    try (DhcpServer server = DhcpServer.dnsmasq(outside, "up1", host.ipamData(), RANGE);
        Cni cni = host.builder().runsDaemons().build();
        Cni executable = host.builder().oneShot().build()) {
      Daemon daemon = Daemon.start(host, socket);
      Result result = cni.network("n").add(attachment(a));
      assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
      cni.network("n").check(attachment(a));
      int acknowledged = server.count("DHCPACK");
      executable.network("n").check(attachment(a));
      assertEquals(acknowledged, server.count("DHCPACK"), "the daemon has the lease");
      assertFalse(Files.exists(host.cache().resolve("dhcp")), "the plugin keeps leases");

      requireRejected(host, socket);
      try (SocketChannel idle = idleConnection(socket)) {
        daemon.stop();
        assertEquals(-1, idle.read(ByteBuffer.allocate(1)), "the connection is not closed");
      }
      requireNoDaemonThreads();

      Daemon restarted = Daemon.start(host, socket);
      cni.network("n").check(attachment(a));
      cni.network("n").delete(attachment(a));
      server.awaitLog(released(result));
      restarted.stop();
    }
  }

  /** Returns a connection that the daemon serves, and that has sent no request. */
  private static SocketChannel idleConnection(Path socket) throws IOException {
    SocketChannel connection = SocketChannel.open(UnixDomainSocketAddress.of(socket));
    String connect = "CONNECT /_goRPC_ HTTP/1.0\n\n";
    connection.write(ByteBuffer.wrap(connect.getBytes(StandardCharsets.US_ASCII)));
    String response = "HTTP/1.0 200 Connected to Go RPC\n\n";
    ByteBuffer received = ByteBuffer.allocate(response.length());
    while (received.hasRemaining()) {
      assertTrue(connection.read(received) > 0);
    }
    assertEquals(response, new String(received.array(), StandardCharsets.US_ASCII));
    return connection;
  }

  private static void requireRejected(TestHost host, Path socket) {
    FutureTask<Boolean> second = Daemon.task(host, socket);
    second.run();
    Exception e = assertThrows(Exception.class, second::get);
    assertTrue(e.getCause() instanceof CniException, e::toString);
    assertTrue(e.toString().contains("another dhcp daemon answers at " + socket), e::toString);
  }

  /** Other tests that run at the same time in this process have no daemon. */
  private static void requireNoDaemonThreads() throws InterruptedException {
    Thread.sleep(100);
    List<String> left =
        Thread.getAllStackTraces().keySet().stream()
            .map(Thread::getName)
            .filter(it -> it.startsWith("cni-dhcp-client"))
            .toList();
    assertEquals(List.of(), left);
  }
}
