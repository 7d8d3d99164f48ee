// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.DhcpServer;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The image's DHCP daemon: as a command, as an executable, and with systemd socket activation. */
@KernelTest(commands = {"dnsmasq", "systemd-socket-activate"})
class DhcpDaemonIT {
  private static final String RANGE = "--dhcp-range=192.0.2.50,192.0.2.60,255.255.255.0,10m";

  private TestHost host;
  private NetNs a;
  private Path socket;
  private DhcpServer server;

  @BeforeEach
  void open() throws Exception {
    host = new TestHost();
    a = host.container("a");
    NetNs outside = host.outside();
    Files.createDirectories(host.ipamData());
    socket = host.ipamData().resolve("dhcp.sock");
    server = DhcpServer.dnsmasq(outside, "up1", host.ipamData(), RANGE);
  }

  @AfterEach
  void close() throws IOException {
    server.close();
    host.close();
  }

  private void network(String ipam) throws IOException {
    host.network(
        "n",
        "1.0.0",
        "{\"type\":\"macvlan\",\"master\":\"up0\",\"ipam\":{\"type\":\"dhcp\"" + ipam + "}}");
  }

  private Process daemon(List<String> command) throws IOException {
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(host.ipamData().resolve("daemon.log").toFile())
        .start();
  }

  private List<String> command(String mode) {
    String leases = host.ipamData().resolve("kept").toString();
    String cni = ImageRunner.IMAGE.resolve("bin/cni").toString();
    String dhcp = host.executables().resolve("dhcp").toString();
    return switch (mode) {
      case "command" ->
          List.of(cni, "dhcp", "daemon", "-socketpath", socket.toString(), "-leases", leases);
      case "executable" -> List.of(dhcp, "daemon", "-socketpath=" + socket, "-leases=" + leases);
      default ->
          List.of(
              "systemd-socket-activate",
              "-l",
              socket.toString(),
              dhcp,
              "daemon",
              "-leases",
              leases);
    };
  }

  @ParameterizedTest
  @ValueSource(strings = {"command", "executable", "service manager"})
  void oneShotCallsUseTheDaemonsLeases(String mode) throws Exception {
    network(",\"daemonSocketPath\":\"" + socket + "\"");
    var run = new ImageRunner(host);
    assertEquals(0, run.cni(Map.of(), "install", "--dir", host.executables().toString()).status());
    Process daemon = daemon(command(mode));
    try {
      for (int i = 0; i < 200 && !Files.exists(socket); i++) {
        Thread.sleep(50);
      }
      ImageRunner.CommandOutput added = run.cni(Map.of(), "add", "n", a.path().toString());
      assertEquals(0, added.status(), added::err);
      assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
      assertEquals(0, run.cni(Map.of(), "check", "n", a.path().toString()).status());
      assertEquals(0, run.cni(Map.of(), "status", "n").status());
      assertEquals(0, run.cni(Map.of(), "del", "n", a.path().toString()).status());
      server.awaitLog("DHCPRELEASE");
    } finally {
      daemon.destroy();
      assertTrue(daemon.waitFor(20, TimeUnit.SECONDS), "SIGTERM does not end the daemon");
    }
    if (!mode.equals("service manager")) {
      assertFalse(Files.exists(socket));
    }
  }

  @Test
  void runKeepsLeaseWithoutDaemon() throws Exception {
    network("");
    ImageRunner.CommandOutput run =
        new ImageRunner(host)
            .cni(Map.of(), "run", "-n", "n", "--", "ping", "-c1", "-W2", TestHost.OUTSIDE_V4);
    assertEquals(0, run.status(), run::err);
    server.awaitLog("DHCPRELEASE");
  }

  @Test
  void daemonHelpListsOptions() throws Exception {
    Process process =
        new ProcessBuilder(
                ImageRunner.IMAGE.resolve("bin/cni").toString(), "dhcp", "daemon", "--help")
            .redirectErrorStream(true)
            .start();
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertTrue(text.contains("-socketpath PATH"), text);
    assertEquals(0, process.waitFor());
  }
}
