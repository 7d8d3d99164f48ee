// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What is found when a bridge or a port of it is broken. */
@KernelTest(commands = "ip")
class BridgeExaminationsTest {
  @Test
  void bridgeIsDown(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      examined.run("ip link set br0 down");

      Finding found =
          examined.assertFirst(FindingKind.BRIDGE_DOWN, "br0: state DOWN", "ip link set br0 up");
      assertEquals(List.of("n"), found.networks());
    }
  }

  /** The command is pasted in its parts: the first by a shell, the second by the library. */
  @Test
  void bridgeIsDeleted(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      examined.run("ip link del br0");

      Finding found =
          examined.assertOnly(FindingKind.BRIDGE_MISSING, "ip link: no br0", "cni repair n");
      assertEquals(List.of("n"), found.networks());
      examined.repairAll();
      host.awaitAddresses();
      examined.assertHealthy();
    }
  }

  @Test
  void mtuOfTheBridgeIsTooSmallForIpv6(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      examined.run("ip link set br0 mtu 1200");

      Finding found =
          examined.assertFirst(
              FindingKind.BRIDGE_MTU_SMALL,
              "br0: mtu 1200",
              "ip link set br0 mtu 1500; cni repair n");
      examined.run(found.remedy().split(";", 2)[0]);
      examined.repairAll();
      host.awaitAddresses();
      examined.assertHealthy();
    }
  }

  @Test
  void bridgeHasLostItsAddress(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      examined.run("ip addr del 10.50.0.1/24 dev br0");

      examined.assertFirst(FindingKind.BRIDGE_WITHOUT_ADDRESS, "no 10.50.0.1", "cni repair n");
    }
  }

  @Test
  void interfaceOfTheContainerIsDown(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      NetNs a = host.namespaces().getLast();
      TestBed.run(a, "ip", "link", "set", "eth0", "down");

      Finding found =
          examined.assertFirst(FindingKind.INTERFACE_DOWN, "eth0: state DOWN", "cni repair n ");
      assertEquals(TestHost.attachment(a).id(), found.attachment().orElseThrow());
    }
  }

  @Test
  void portHasNoBridge(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      String port = TestBed.linkNames(host.netns(), "veth").getFirst();
      examined.run("ip link set " + port + " nomaster");

      examined.assertFirst(
          FindingKind.PORT_DETACHED, "master none instead of br0", "cni repair n ");
    }
  }

  @Test
  void twoContainersHaveTheSameHardwareAddress(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      NetNs a = host.namespaces().getLast();
      NetNs b = host.container("b");
      examined.add("n", b);
      TestBed.run(a, "ip", "link", "set", "eth0", "address", "02:00:00:00:00:07");
      TestBed.run(b, "ip", "link", "set", "eth0", "address", "02:00:00:00:00:07");

      examined.assertFirst(FindingKind.MAC_DUPLICATE, "02:00:00:00:00:07", "cni update n ");
    }
  }

  @Test
  void containerSendsLargerPacketsThanTheBridgeTakes(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      String port = TestBed.linkNames(host.netns(), "veth").getFirst();
      examined.run("ip link set " + port + " mtu 1400");

      examined.assertFirst(
          FindingKind.MTU_ABOVE_BRIDGE,
          "mtu 1500 of eth0 in the container, mtu 1400 of " + port,
          "ip link set " + port + " mtu 1500");
    }
  }

  /** To raise the MTU of the host's end would only move the loss to the bridge. */
  @Test
  void mtuOfTheContainerWasRaised(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      NetNs a = host.namespaces().getLast();
      TestBed.run(a, "ip", "link", "set", "eth0", "mtu", "1600");
      String mend = IpCommand.in(a.path(), "link set eth0 mtu 1500");
      Finding found = examined.assertFirst(FindingKind.MTU_ABOVE_BRIDGE, "mtu 1600 of eth0", mend);
      assertEquals(mend, found.remedy());
      TestBed.run(a, "ip", "link", "set", "eth0", "mtu", "1500");
      examined.assertHealthy();
    }
  }

  /** No container has a neighbour entry of a bridge without address. */
  @Test
  void bridgeWithoutAddressMayHaveTheHardwareAddressOfAPort(TestHost host) throws Exception {
    host.network("n", "1.0.0", "{ \"type\": \"bridge\", \"bridge\": \"br0\" }");
    try (var examined = new ExaminedHost(host)) {
      examined.run("ip link add br0 up type bridge");
      examined.run("ip link add port0 type veth peer name port1");
      examined.run("ip link set port0 master br0");
      examined.assertHealthy();
    }
  }

  @Test
  void bridgeHasTheHardwareAddressOfAPort(TestHost host) throws Exception {
    host.dualStack("n", "");
    try (var examined = new ExaminedHost(host)) {
      examined.run("ip link add br0 up type bridge");
      examined.run("ip link add port0 type veth peer name port1");
      examined.run("ip link set port0 master br0");

      examined.assertOnly(
          FindingKind.BRIDGE_MAC_BORROWED, "br0 and its port port0", "ip link set br0 address");
    }
  }
}
