package cni.netlink.ffm.route;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import cni.netlink.lab.KernelTest;
import cni.netlink.lab.Lab;
import cni.netlink.lab.Strace;
import java.io.IOException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Requests for links are iproute2's, whether the kernel has such devices or not. */
@KernelTest(commands = {"strace"})
class NewLinkTest {
  private Lab lab;
  private int base;

  @BeforeEach
  void open() throws IOException {
    lab = new Lab();
    Lab.run(lab.host(), "ip", "link", "add", "base0", "type", "ifb");
    try (Rtnetlink routing = Rtnetlink.open(lab.host())) {
      base = routing.links("base0").getFirst().index();
    }
  }

  @AfterEach
  void close() throws IOException {
    lab.close();
  }

  private void requireEqual(String command, NewLink link) throws IOException {
    assertArrayEquals(
        Strace.lastMessage(lab.host(), command.split(" ", -1)), link.request().payload(), command);
  }

  @Test
  void ipvlan() throws IOException {
    requireEqual(
        "ip link add link base0 name x0 type ipvlan mode l2",
        NewLink.ipvlan("x0", base, IfLink.IPVLAN_MODE_L2));
    requireEqual(
        "ip link add link base0 name x0 type ipvlan mode l3",
        NewLink.ipvlan("x0", base, IfLink.IPVLAN_MODE_L3));
    requireEqual(
        "ip link add link base0 name x0 type ipvlan mode l3s",
        NewLink.ipvlan("x0", base, IfLink.IPVLAN_MODE_L3S));
  }

  @Test
  void vlan() throws IOException {
    requireEqual(
        "ip link add link base0 name x0 type vlan id 4094", NewLink.vlan("x0", base, 4094));
  }

  @Test
  void dummy() throws IOException {
    requireEqual("ip link add name x0 type dummy", NewLink.of("dummy", "x0"));
  }

  @Test
  void macvlan() throws IOException {
    requireEqual(
        "ip link add link base0 name x0 type macvlan mode vepa",
        NewLink.macvlan("x0", base, IfLink.MACVLAN_MODE_VEPA, 0));
  }

  @Test
  void vrf() throws IOException {
    requireEqual("ip link add red type vrf table 1077", NewLink.vrf("red", 1077));
  }
}
