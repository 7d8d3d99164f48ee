// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.macvlan;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
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

/** macvlan with dhcp: the lease is acquired and released over the new interface. */
@KernelTest(commands = {"dnsmasq"})
class MacvlanDhcpTest {
  @Test
  void leaseIsAcquiredAndReleasedOverTheInterface(TestHost host) throws Exception {
    NetNs a = host.container("a");
    NetNs outside = host.outside();
    Files.createDirectories(host.ipamData());
    host.network(
        "n", "1.1.0", "{\"type\":\"macvlan\",\"master\":\"up0\",\"ipam\":{\"type\":\"dhcp\"}}");
    String range = "--dhcp-range=192.0.2.50,192.0.2.60,255.255.255.0,10m";
    try (DhcpServer server = DhcpServer.dnsmasq(outside, "up1", host.ipamData(), range);
        Cni cni = host.openCni()) {
      Result result = cni.network("n").add(attachment(a));
      String address = InetAddresses.format(result.ips().getFirst().address().address());
      assertTrue(address.startsWith("192.0.2."), address);
      assertTrue(TestBed.run(a, "ip", "addr", "show", "eth0").contains(address + "/24"));
      assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
      cni.network("n").check(attachment(a));
      cni.network("n").delete(attachment(a));
      server.awaitLog("DHCPRELEASE\\(up1\\) " + address);
      assertEquals("", TestBed.run(a, "ip", "link", "show", "type", "macvlan"));
    }
  }
}
