// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.loopback;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.plugins.main.UpdatedAttachment;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Repair of attachments by loopback. */
@KernelTest(commands = {"nft"})
class LoopbackUpdateTest {
  private final NetNs a;
  private final UpdatedAttachment attachment;

  LoopbackUpdateTest(TestHost host) throws IOException {
    a = host.container("a");
    attachment = new UpdatedAttachment(host, a, new LoopbackPlugin());
  }

  @Test
  void damageIsRepaired() throws Exception {
    attachment.add("\"mtu\": \"a key of another plugin\"");
    attachment.requireRepair("interface lo in the container", a, "ip link set lo down");
    attachment.requireRepair("127.0.0.1/8 is missing", a, "ip addr del 127.0.0.1/8 dev lo");
    attachment.delete();
  }

  /** As with ip-address(8) there is a route afterwards that the kernel's own address lacks. */
  @Test
  void missingIpv6AddressIsRepaired() throws Exception {
    attachment.add("\"x\": 1");
    TestBed.run(a, "ip", "addr", "del", "::1/128", "dev", "lo");
    String message = attachment.repair().check().orElse("");
    assertTrue(message.contains("::1/128 is missing from interface lo"), message);
    attachment.repair().apply();
    assertEquals(Optional.empty(), attachment.repair().check());
    assertTrue(Probe.ping(a, "::1"));
  }
}
