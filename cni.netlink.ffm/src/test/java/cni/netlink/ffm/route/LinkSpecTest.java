package cni.netlink.ffm.route;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import cni.testing.KernelTest;
import cni.testing.NetlinkTrace;
import cni.testing.TestBed;
import java.io.IOException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Requests for links are iproute2's, whether the kernel has such devices or not. */
@KernelTest(commands = {"strace"})
class LinkSpecTest {
  private TestBed bed;
  private int base;

  @BeforeEach
  void open() throws IOException {
    bed = new TestBed();
    TestBed.run(bed.netns(), "ip", "link", "add", "base0", "type", "ifb");
    try (RouteSocket routing = RouteSocket.open(bed.netns())) {
      base = routing.links("base0").getFirst().index();
    }
  }

  @AfterEach
  void close() throws IOException {
    bed.close();
  }

  private void requireEqual(String command, LinkSpec link) throws IOException {
    assertArrayEquals(
        NetlinkTrace.lastMessage(bed.netns(), command.split(" ", -1)),
        link.request().payload(),
        command);
  }

  @Test
  void ipvlanRequestEqualsThatOfIproute2() throws IOException {
    requireEqual(
        "ip link add link base0 name x0 type ipvlan mode l2",
        LinkSpec.ipvlan("x0", base, LinkConstants.IPVLAN_MODE_L2));
    requireEqual(
        "ip link add link base0 name x0 type ipvlan mode l3",
        LinkSpec.ipvlan("x0", base, LinkConstants.IPVLAN_MODE_L3));
    requireEqual(
        "ip link add link base0 name x0 type ipvlan mode l3s",
        LinkSpec.ipvlan("x0", base, LinkConstants.IPVLAN_MODE_L3S));
  }

  @Test
  void vlanRequestEqualsThatOfIproute2() throws IOException {
    requireEqual(
        "ip link add link base0 name x0 type vlan id 4094", LinkSpec.vlan("x0", base, 4094));
  }

  @Test
  void dummyRequestEqualsThatOfIproute2() throws IOException {
    requireEqual("ip link add name x0 type dummy", LinkSpec.of("dummy", "x0"));
  }

  @Test
  void macvlanRequestEqualsThatOfIproute2() throws IOException {
    requireEqual(
        "ip link add link base0 name x0 type macvlan mode vepa",
        LinkSpec.macvlan("x0", base, LinkConstants.MACVLAN_MODE_VEPA, 0));
  }

  @Test
  void vrfRequestEqualsThatOfIproute2() throws IOException {
    requireEqual("ip link add red type vrf table 1077", LinkSpec.vrf("red", 1077));
  }
}
