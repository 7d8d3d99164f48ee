// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.tap;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.main.UpdatedAttachment;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import org.junit.jupiter.api.Test;

/** Repair and update of attachments by tap. */
@KernelTest(
    commands = {"nft"},
    reference = true)
class TapUpdateTest {
  private static final String V4 =
      """
      "ipam": { "type": "static", "addresses": [
          { "address": "192.0.2.10/24", "gateway": "192.0.2.2" } ] }
      """;

  private final NetNs a;
  private final UpdatedAttachment attachment;

  TapUpdateTest(TestHost host) throws IOException {
    a = host.container("a");
    attachment = new UpdatedAttachment(host, a, new TapPlugin());
    for (int i = 0; i < 2; i++) { // with a port, on which its properties depend
      String mac = "02:00:00:00:00:0" + i;
      TestBed.run(a, "ip", "link", "add", "inner" + i, "address", mac, "type", "bridge");
      TestBed.run(a, "ip", "link", "add", "port" + i, "master", "inner" + i, "type", "ifb");
    }
  }

  @Test
  void damageIsRepaired() throws Exception {
    attachment.add("\"bridge\": \"inner0\", " + UpdatedAttachment.IPAM);
    attachment.requireRepair("is down", a, "ip link set eth0 down");
    attachment.requireRepair("is missing", a, "ip addr flush dev eth0 scope global");
    attachment.requireRepair("hardware address", a, "ip link set eth0 addr c2:11:22:33:44:55");
    attachment.requireRepair("not a port of bridge inner0", a, "ip link set eth0 nomaster");
    attachment.requireRepair("not a port of bridge inner0", a, "ip link set eth0 master inner1");
    TestBed.run(a, "ip", "link", "del", "inner0");
    attachment.requireUnchangeable("not a port of bridge inner0");
    attachment.delete();
  }

  /** IPv4 only: the reference times out on the IPv6 address of a tap that no program has opened. */
  @Test
  void keysAreChanged() throws Exception {
    HostSnapshot left = attachment.state();
    attachment.add(V4);
    for (String change :
        new String[] {
          "\"mtu\": 1400, ",
          "\"bridge\": \"inner0\", ",
          "\"bridge\": \"inner1\", \"mtu\": 1300, ",
          ""
        }) {
      attachment.requireUpdate(change + V4);
      attachment.requireStateOfFreshAdd(left);
      attachment.add(change + V4);
    }
    attachment.delete();
  }

  @Test
  void invalidValuesAreRefused() throws Exception {
    attachment.add(UpdatedAttachment.IPAM);
    for (String keys :
        new String[] {"\"bridge\": \"eth0\", ", "\"mtu\": 1000, ", "\"mtu\": -1, "}) {
      CniException e =
          assertThrows(
              CniException.class, () -> attachment.update(keys + UpdatedAttachment.IPAM).compare());
      assertEquals(7, e.code(), e::getMessage);
      assertTrue(e.getMessage().contains(keys.split("\"", 3)[1]), e::getMessage);
    }
    attachment.delete();
  }
}
