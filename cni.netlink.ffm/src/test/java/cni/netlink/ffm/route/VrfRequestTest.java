package cni.netlink.ffm.route;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import cni.netlink.lab.KernelTest;
import cni.netlink.lab.Lab;
import cni.netlink.lab.Strace;
import java.io.IOException;
import org.junit.jupiter.api.Test;

/** The request for a vrf is iproute2's, whether the kernel has such devices or not. */
@KernelTest(commands = {"strace"})
class VrfRequestTest {
  @Test
  void theRequestIsThatOfIproute2() throws IOException {
    try (Lab lab = new Lab()) {
      String command = "ip link add red type vrf table 1077";
      assertArrayEquals(
          Strace.lastMessage(lab.host(), command.split(" ", -1)),
          NewLink.vrf("red", 1077).request().payload());
    }
  }
}
