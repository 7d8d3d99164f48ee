// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.PluginDaemon;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.DhcpServer;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.ReferencePlugins;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The dhcp daemons of this project and of the reference, each with the plugins of both. */
@KernelTest(
    commands = {"dnsmasq"},
    reference = true)
class DhcpDaemonTest {
  private TestHost host;
  private NetNs a;
  private Path socket;
  private DhcpServer server;
  private @Nullable Thread daemon;
  private @Nullable Process referenceDaemon;

  @BeforeEach
  void open() throws Exception {
    host = new TestHost();
    a = host.container("a");
    NetNs outside = host.outside();
    Files.createDirectories(host.ipamData());
    socket = host.ipamData().resolve("dhcp.sock");
    server =
        DhcpServer.dnsmasq(
            outside,
            "up1",
            host.ipamData(),
            "--dhcp-range=192.0.2.50,192.0.2.60,255.255.255.0,10m",
            "--dhcp-range=2001:db8::50,2001:db8::60,64,10m",
            "--dhcp-option=option:router,192.0.2.2");
  }

  /** Configures the network with dhcp and further IPAM options, which end with a comma. */
  private void network(String type, String options) throws IOException {
    host.network(
        "n",
        "1.0.0",
        ("{\"type\":\"%s\",\"master\":\"up0\",\"ipam\":{\"type\":\"dhcp\",%s"
                + "\"daemonSocketPath\":\"%s\"}}")
            .formatted(type, options, socket));
  }

  @AfterEach
  void close() throws Exception {
    stopDaemons();
    server.close();
    host.close();
  }

  private void startDaemon() throws Exception {
    PluginDaemon found =
        ServiceLoader.load(PluginDaemon.class).stream()
            .map(ServiceLoader.Provider::get)
            .filter(it -> it.type().equals("dhcp"))
            .findFirst()
            .orElseThrow();
    var failure = new AtomicReference<@Nullable CniException>();
    List<String> options =
        List.of(
            "-socketpath",
            socket.toString(),
            "-leases=" + host.ipamData().resolve("kept"),
            "--pidfile",
            host.ipamData().resolve("pid").toString());
    Thread started =
        Thread.ofPlatform()
            .start(
                () -> {
                  try {
                    found.run(options);
                  } catch (CniException e) {
                    failure.set(e);
                  }
                });
    daemon = started;
    awaitSocket();
    assertEquals(null, failure.get());
  }

  private void startReferenceDaemon() throws Exception {
    referenceDaemon =
        new ProcessBuilder(
                ReferencePlugins.directory().resolve("dhcp").toString(),
                "daemon",
                "-socketpath",
                socket.toString())
            .redirectErrorStream(true)
            .redirectOutput(host.ipamData().resolve("daemon.log").toFile())
            .start();
    awaitSocket();
  }

  private void awaitSocket() throws InterruptedException {
    for (int i = 0; i < 200 && !Files.exists(socket); i++) {
      Thread.sleep(50);
    }
    assertTrue(Files.exists(socket), "the daemon does not listen");
  }

  private void stopDaemons() throws InterruptedException {
    if (daemon != null) {
      daemon.interrupt();
      daemon.join();
      daemon = null;
    }
    if (referenceDaemon != null) {
      referenceDaemon.destroy();
      referenceDaemon.waitFor();
      referenceDaemon = null;
    }
  }

  @ParameterizedTest
  @CsvSource({"false,false", "false,true", "true,false", "true,true"})
  void pluginsAndDaemonsOfBothProjectsWorkTogether(
      boolean referenceDaemonUsed, boolean referencePlugins) throws Exception {
    network(referencePlugins ? "macvlan" : TestMacvlanPlugin.TYPE, "");
    if (referenceDaemonUsed) {
      startReferenceDaemon();
    } else {
      startDaemon();
    }
    Cni cni =
        referencePlugins ? host.withReference("macvlan", "dhcp") : host.builder().oneShot().build();
    Result result = cni.network("n").add(attachment(a));
    assertTrue(result.ips().getFirst().address().toString().startsWith("192.0.2."), "" + result);
    assertEquals(24, result.ips().getFirst().address().prefix());
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
    String routes = TestBed.run(a, "ip", "route");
    assertTrue(routes.contains("default via 192.0.2.2"), routes);
    cni.network("n").check(attachment(a));
    cni.network("n").delete(attachment(a));
    if (!referenceDaemonUsed) { // its DHCPRELEASE does not reach the server
      server.awaitLog("DHCPRELEASE");
    }
    cni.network("n").delete(attachment(a));
    assertEquals("", TestBed.run(a, "ip", "link", "show", "type", "macvlan"));
  }

  @Test
  void restartedDaemonKeepsLeases() throws Exception {
    network(TestMacvlanPlugin.TYPE, "");
    startDaemon();
    Cni cni = host.builder().oneShot().build();
    Result result = cni.network("n").add(attachment(a));
    assertTrue(Files.exists(host.ipamData().resolve("pid")));
    stopDaemons();
    assertFalse(Files.exists(socket) || Files.exists(host.ipamData().resolve("pid")));
    startDaemon();
    int acknowledged = server.count("DHCPACK");
    cni.network("n").check(attachment(a));
    assertEquals(acknowledged, server.count("DHCPACK"), "the daemon has the lease");
    cni.network("n").gc(Set.of());
    server.awaitLog(
        "DHCPRELEASE\\(up1\\) " + result.ips().getFirst().address().address().getHostAddress());
    cni.network("n").delete(attachment(a));
  }

  private Path unpublished(String name, Instant modified) throws IOException {
    Path directory = Files.createDirectory(host.ipamData().resolve(name));
    try (var socket = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      socket.bind(UnixDomainSocketAddress.of(directory.resolve("s")));
    }
    return Files.setLastModifiedTime(directory, FileTime.from(modified));
  }

  @Test
  void whatADaemonLeftThatWasKilledWhileItBoundIsDeleted() throws Exception {
    Path left = unpublished(".c1a2b", Instant.now().minusSeconds(120));
    Path current = unpublished(".c3", Instant.now());
    Path foreign = Files.createDirectory(host.ipamData().resolve(".cfg"));
    Files.setLastModifiedTime(foreign, FileTime.from(Instant.EPOCH));
    startDaemon();
    assertFalse(Files.exists(left));
    assertTrue(Files.exists(current.resolve("s")));
    assertTrue(Files.exists(foreign));
  }

  @Test
  void daemonErrorReachesThePlugin() throws Exception {
    startDaemon();
    server.close();
    network(TestMacvlanPlugin.TYPE, "\"provide\":[{\"option\":\"nope\"}],");
    Cni cni = host.withReference("dhcp");
    CniException e = assertThrows(CniException.class, () -> cni.network("n").add(attachment(a)));
    assertTrue(String.valueOf(e.getMessage()).contains("nope"), e::getMessage);
  }

  /**
   * The reference plugin does not support {@code families}; it passes the configuration to the
   * daemon.
   */
  @Test
  void referencePluginLeasesBothFamilies() throws Exception {
    startDaemon();
    network("macvlan", "\"families\":[\"ipv4\",\"ipv6\"],");
    Cni cni = host.withReference("macvlan", "dhcp");
    Result result = cni.network("n").add(attachment(a));
    assertEquals(2, result.ips().size());
    assertEquals(128, result.ips().get(1).address().prefix());
    assertTrue(result.ips().get(1).address().toString().startsWith("2001:db8::"), "" + result);
    cni.network("n").check(attachment(a));
    cni.network("n").delete(attachment(a));
    server.awaitLog("DHCPRELEASE", 2);
  }
}
