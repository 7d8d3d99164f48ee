package cni.plugins.bridge;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.InetAddresses;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.DhcpServer;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.nio.file.Files;
import org.junit.jupiter.api.Test;

/** bridge with dhcp: the server is reached through a port of the bridge. */
@KernelTest(commands = {"dnsmasq"})
class BridgeDhcpTest {
  @Test
  void leaseIsAcquiredAndReleasedThroughTheBridge(TestHost host) throws Exception {
    NetNs a = host.container("a");
    NetNs outside = host.outside();
    Files.createDirectories(host.ipamData());
    TestBed.run(host.netns(), "ip", "link", "add", "br9", "type", "bridge");
    TestBed.run(host.netns(), "ip", "link", "set", "up0", "master", "br9");
    TestBed.run(host.netns(), "ip", "link", "set", "br9", "up");
    host.network(
        "n", "1.1.0", "{\"type\":\"bridge\",\"bridge\":\"br9\",\"ipam\":{\"type\":\"dhcp\"}}");
    String range = "--dhcp-range=192.0.2.50,192.0.2.60,255.255.255.0,10m";
    try (DhcpServer server = DhcpServer.dnsmasq(outside, "up1", host.ipamData(), range);
        Cni cni = host.openCni()) {
      Result result = cni.network("n").add(attachment(a));
      assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
      cni.network("n").check(attachment(a));
      cni.network("n").delete(attachment(a));
      server.awaitLog(
          "DHCPRELEASE\\(up1\\) "
              + InetAddresses.format(result.ips().getFirst().address().address()));
    }
  }
}
