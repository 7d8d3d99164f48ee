package cni.netlink.ffm.route;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetNs;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.lab.KernelTest;
import cni.netlink.lab.Lab;
import cni.netlink.lab.Strace;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;

/** VLANs of bridges: the bytes are those that iproute2 sends; where the kernel can, they work. */
@KernelTest(commands = {"strace", "bridge"})
class VlanRequestTest {
  @Test
  void requestsAreThoseOfIproute2() throws IOException {
    try (Lab lab = new Lab();
        Rtnetlink routing = Rtnetlink.open(lab.host())) {
      routing.execute(NewLink.bridge("br0").up().request());
      int bridge = routing.link("br0").orElseThrow().index();
      routing.execute(NewLink.veth("v0", NewLink.peer("v1")).master(bridge).request());
      int port = routing.link("v0").orElseThrow().index();
      NetNs host = lab.host();
      assertArrayEquals(
          Strace.lastMessage(host, words("bridge vlan add dev v0 vid 5 pvid untagged master")),
          LinkRequests.addVlan(port, 5, true).payload());
      assertArrayEquals(
          Strace.lastMessage(host, words("bridge vlan add dev v0 vid 6 master")),
          LinkRequests.addVlan(port, 6, false).payload());
      assertArrayEquals(
          Strace.lastMessage(host, words("bridge vlan del dev v0 vid 6 master")),
          LinkRequests.deleteVlan(port, 6).payload());
      assertArrayEquals(
          Strace.lastMessage(host, words("ip link set br0 type bridge vlan_filtering 1")),
          LinkRequests.setVlanFiltering(bridge).payload());
      assertArrayEquals(
          Strace.lastMessage(host, words("ip link add br1 type bridge vlan_filtering 1")),
          NewLink.bridge("br1").vlanFiltering().request().payload());
    }
  }

  @Test
  void vlansArePassedAsAsked() throws IOException {
    try (Lab lab = new Lab();
        Rtnetlink routing = Rtnetlink.open(lab.host())) {
      try {
        routing.execute(NewLink.bridge("br0").vlanFiltering().up().request());
      } catch (NetlinkException e) {
        assumeTrue(!e.is(Errno.EOPNOTSUPP), "kernel lacks vlan_filtering of bridges");
        throw e;
      }
      int bridge = routing.link("br0").orElseThrow().index();
      routing.execute(NewLink.veth("v0", NewLink.peer("v1")).master(bridge).request());
      int port = routing.link("v0").orElseThrow().index();
      assertEquals(List.of(1), routing.vlans(port));
      routing.execute(
          List.of(
              LinkRequests.deleteVlan(port, 1),
              LinkRequests.addVlan(port, 5, true),
              LinkRequests.addVlan(port, 6, false)));
      assertEquals(List.of(5, 6), routing.vlans(port));
    }
  }

  private static String[] words(String command) {
    return command.split(" ", -1);
  }
}
