// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.NetlinkTrace;
import cni.testing.RequiresDevice;
import cni.testing.RequiresDevice.Device;
import cni.testing.TestBed;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * Compares requests about the VLANs of a bridge with those of bridge(8) and ip(8), and applies them
 * where the kernel supports vlan_filtering.
 */
@KernelTest(commands = {"strace", "bridge"})
class BridgeVlanTest {
  @Test
  void requestsEqualThoseOfIproute2() throws IOException {
    try (TestBed bed = new TestBed();
        RouteSocket routing = RouteSocket.open(bed.netns())) {
      routing.execute(LinkSpec.bridge("br0").up().request());
      int bridge = routing.link("br0").orElseThrow().index();
      routing.execute(LinkSpec.veth("v0", LinkSpec.peer("v1")).master(bridge).request());
      int port = routing.link("v0").orElseThrow().index();
      NetNs host = bed.netns();
      assertArrayEquals(
          NetlinkTrace.lastMessage(
              host, words("bridge vlan add dev v0 vid 5 pvid untagged master")),
          LinkRequests.addVlan(port, new BridgeVlan(5, true, true)).payload());
      assertArrayEquals(
          NetlinkTrace.lastMessage(host, words("bridge vlan add dev v0 vid 6 master")),
          LinkRequests.addVlan(port, new BridgeVlan(6, false, false)).payload());
      assertArrayEquals(
          NetlinkTrace.lastMessage(host, words("bridge vlan del dev v0 vid 6 master")),
          LinkRequests.deleteVlan(port, 6).payload());
      assertArrayEquals(
          NetlinkTrace.lastMessage(host, words("ip link set br0 type bridge vlan_filtering 1")),
          LinkRequests.setVlanFiltering(bridge, true).payload());
      assertArrayEquals(
          NetlinkTrace.lastMessage(host, words("ip link add br1 type bridge vlan_filtering 1")),
          LinkSpec.bridge("br1").vlanFiltering().request().payload());
    }
  }

  @Test
  @RequiresDevice(Device.VLAN_FILTERING)
  void addedAndDeletedVlansAreListedForPort() throws IOException {
    try (TestBed bed = new TestBed();
        RouteSocket routing = RouteSocket.open(bed.netns())) {
      routing.execute(LinkSpec.bridge("br0").vlanFiltering().up().request());
      int bridge = routing.link("br0").orElseThrow().index();
      routing.execute(LinkSpec.veth("v0", LinkSpec.peer("v1")).master(bridge).request());
      int port = routing.link("v0").orElseThrow().index();
      assertEquals(List.of(new BridgeVlan(1, true, true)), routing.bridgeVlans(port));
      assertEquals(
          new Link.Bridge(true, false, false), routing.link(bridge).orElseThrow().kindData());
      routing.execute(
          List.of(
              LinkRequests.deleteVlan(port, 1),
              LinkRequests.addVlan(port, new BridgeVlan(5, true, true)),
              LinkRequests.addVlan(port, new BridgeVlan(6, false, false))));
      assertEquals(
          List.of(new BridgeVlan(5, true, true), new BridgeVlan(6, false, false)),
          routing.bridgeVlans(port));
    }
  }

  private static String[] words(String command) {
    return command.split(" ", -1);
  }
}
