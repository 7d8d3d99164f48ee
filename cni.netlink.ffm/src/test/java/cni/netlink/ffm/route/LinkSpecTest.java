// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import cni.testing.KernelTest;
import cni.testing.NetlinkTrace;
import cni.testing.TestBed;
import java.io.IOException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Compares requests with those of ip(8), which strace shows even if the kernel lacks such devices.
 */
@KernelTest(commands = {"strace"})
class LinkSpecTest {
  private TestBed bed;
  private int parent;

  @BeforeEach
  void open() throws IOException {
    bed = new TestBed();
    TestBed.run(bed.netns(), "ip", "link", "add", "base0", "type", "ifb");
    try (RouteSocket routing = RouteSocket.open(bed.netns())) {
      parent = routing.links("base0").getFirst().index();
    }
  }

  @AfterEach
  void close() throws IOException {
    bed.close();
  }

  private void assertSameAsIproute2(String command, LinkSpec link) throws IOException {
    assertArrayEquals(
        NetlinkTrace.lastMessage(bed.netns(), command.split(" ", -1)),
        link.request().payload(),
        command);
  }

  @Test
  void ipvlanRequestEqualsThatOfIproute2() throws IOException {
    assertSameAsIproute2(
        "ip link add link base0 name x0 type ipvlan mode l2",
        LinkSpec.ipvlan("x0", parent, LinkConstants.IPVLAN_MODE_L2));
    assertSameAsIproute2(
        "ip link add link base0 name x0 type ipvlan mode l3",
        LinkSpec.ipvlan("x0", parent, LinkConstants.IPVLAN_MODE_L3));
    assertSameAsIproute2(
        "ip link add link base0 name x0 type ipvlan mode l3s",
        LinkSpec.ipvlan("x0", parent, LinkConstants.IPVLAN_MODE_L3S));
  }

  @Test
  void vlanRequestEqualsThatOfIproute2() throws IOException {
    assertSameAsIproute2(
        "ip link add link base0 name x0 type vlan id 4094", LinkSpec.vlan("x0", parent, 4094));
  }

  @Test
  void dummyRequestEqualsThatOfIproute2() throws IOException {
    assertSameAsIproute2("ip link add name x0 type dummy", LinkSpec.of("dummy", "x0"));
  }

  @Test
  void macvlanRequestEqualsThatOfIproute2() throws IOException {
    assertSameAsIproute2(
        "ip link add link base0 name x0 type macvlan mode vepa",
        LinkSpec.macvlan("x0", parent, LinkConstants.MACVLAN_MODE_VEPA, 0));
  }

  @Test
  void vrfRequestEqualsThatOfIproute2() throws IOException {
    assertSameAsIproute2("ip link add red type vrf table 1077", LinkSpec.vrf("red", 1077));
  }
}
