// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.hostdevice;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.plugins.main.UpdatedAttachment;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.TrafficProbe;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Repair and update of attachments by host-device, with one end of a veth as the device. */
@KernelTest(
    commands = {"nft"},
    reference = true)
class HostDeviceUpdateTest {
  private static final String CONFIG = "\"device\": \"up0\", " + UpdatedAttachment.IPAM;

  private final TestHost host;
  private final NetNs a;
  private final NetNs outside;
  private final UpdatedAttachment attachment;

  HostDeviceUpdateTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    outside = host.outside();
    attachment = new UpdatedAttachment(host, a, new HostDevicePlugin());
  }

  @Test
  void damageIsRepaired() throws Exception {
    attachment.add(CONFIG);
    attachment.requireRepair("is down", a, "ip link set eth0 down");
    attachment.requireRepair("is missing", a, "ip addr flush dev eth0 scope global");
    attachment.requireRepair("198.51.100.0/24", a, "ip route del 198.51.100.0/24");
    attachment.requireRepair("has no alias", a, "ip link set eth0 alias ''");
    attachment.delete();
    String device = TestBed.run(host.netns(), "ip", "link", "show", "up0");
    assertTrue(device.contains("up0") && !device.contains("alias"), device);
  }

  @Test
  void whatOnlyRecreationRestoresIsReported() throws Exception {
    attachment.add("\"hwaddr\": \"" + mac() + "\", " + UpdatedAttachment.IPAM);
    TestBed.run(a, "ip", "link", "set", "eth0", "alias", "");
    attachment.requireUnchangeable("has no alias");
    TestBed.run(a, "ip", "link", "set", "eth0", "alias", "up0");
    attachment.delete();
  }

  private String mac() throws IOException {
    return TestBed.run(host.netns(), "ip", "-o", "link", "show", "up0")
        .replaceAll("(?s).*link/ether (\\S+).*", "$1");
  }

  @Test
  void routesAndAddressesAreChangedAndTheDeviceStays() throws Exception {
    attachment.add(CONFIG);
    String routes = "{ \"dst\": \"203.0.113.0/24\", \"gw\": \"192.0.2.2\" }";
    String desired =
        "\"device\": \"up0\", " + UpdatedAttachment.ipam("192.0.2.10", "2001:db8::10", routes);
    try (var probe = TrafficProbe.start(outside, a, "192.0.2.10", "2001:db8::10")) {
      attachment.requireUpdate(desired);
      probe.requireNoLoss();
    }
    String shown = TestBed.run(a, "ip", "route");
    assertTrue(shown.contains("203.0.113.0/24 via 192.0.2.2"), shown);
    assertTrue(!shown.contains("198.51.100.0"), shown);
    attachment.requireUpdate(
        "\"device\": \"up0\", " + UpdatedAttachment.ipam("192.0.2.11", "2001:db8::11", routes));
    assertEquals(
        List.of(true, true, false),
        List.of(
            Probe.ping(outside, "192.0.2.11"),
            Probe.ping(outside, "2001:db8::11"),
            Probe.ping(outside, "192.0.2.10")));
    attachment.delete();
  }
}
