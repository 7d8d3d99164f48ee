// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.macvlan;

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
import cni.testing.TrafficProbe;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Repair and update of attachments by macvlan. */
@KernelTest(
    commands = {"nft"},
    reference = true)
class MacvlanUpdateTest {
  private static final String KEYS = "\"master\": \"up0\", ";
  private static final String CONFIG = KEYS + UpdatedAttachment.IPAM;

  private final TestHost host;
  private final NetNs a;
  private final NetNs outside;
  private final UpdatedAttachment attachment;

  MacvlanUpdateTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    outside = host.outside();
    attachment = new UpdatedAttachment(host, a, new MacvlanPlugin());
  }

  @Test
  void damageIsRepaired() throws Exception {
    attachment.add(CONFIG);
    String mac = attachment.result().interfaces().getFirst().mac();
    attachment.requireRepair("is down", a, "ip link set eth0 down");
    attachment.requireRepair("expected " + mac, a, "ip link set eth0 address c2:11:22:33:44:55");
    attachment.requireRepair("192.0.2.10/24 is missing", a, "ip addr del 192.0.2.10/24 dev eth0");
    attachment.requireRepair("2001:db8::10", a, "ip addr del 2001:db8::10/64 dev eth0");
    attachment.requireRepair("is missing", a, "ip addr flush dev eth0 scope global");
    attachment.requireRepair("198.51.100.0/24", a, "ip route del 198.51.100.0/24");
    attachment.requireRepair("192.0.2.0/24", a, "ip route del 192.0.2.0/24");
    attachment.requireRepair("macvlan mode vepa", a, "ip link set eth0 type macvlan mode vepa");
    attachment.requireRepair(
        "is down", a, "ip link set eth0 down; ip addr flush dev eth0 scope global");
    attachment.delete();
  }

  @Test
  void whatOnlyRecreationRestoresIsReported() throws Exception {
    attachment.add(CONFIG);
    TestBed.run(a, "ip", "link", "del", "eth0");
    attachment.requireUnchangeable("interface eth0 is missing");
    TestBed.run(a, "ip", "link", "add", "eth0", "type", "ifb");
    attachment.requireUnchangeable("is a ifb, expected a macvlan");
    TestBed.run(host.netns(), "ip", "link", "del", "up0");
    attachment.requireUnchangeable("is a ifb");
  }

  @Test
  void passthruIsUnchangeable() throws Exception {
    attachment.add(KEYS + "\"mode\": \"passthru\", " + UpdatedAttachment.IPAM);
    List<String> findings = attachment.update(CONFIG).compare();
    assertEquals(1, findings.size(), findings::toString);
    assertTrue(findings.getFirst().contains("mode passthru, expected bridge"));
    assertThrows(AssertionError.class, () -> attachment.update(CONFIG).applyOnly());
    attachment.delete();
  }

  @Test
  void keysAreChangedWithoutInterruption() throws Exception {
    HostSnapshot left = attachment.state();
    String[] changes = {
      "\"mtu\": 1400, ",
      "\"mode\": \"private\", ",
      "\"mode\": \"vepa\", \"mtu\": 1300, \"dns\": { \"nameservers\": [\"192.0.2.53\"] }, ",
      ""
    };
    attachment.add(CONFIG);
    for (String change : changes) {
      try (var probe = TrafficProbe.start(outside, a, "192.0.2.10", "2001:db8::10")) {
        attachment.requireUpdate(KEYS + change + UpdatedAttachment.IPAM);
        probe.requireNoLoss();
      }
      attachment.requireStateOfFreshAdd(left);
      attachment.add(KEYS + change + UpdatedAttachment.IPAM);
    }
    attachment.delete();
  }

  @Test
  void mtuOfAnotherPluginStays() throws Exception {
    attachment.add(CONFIG);
    TestBed.run(a, "ip", "link", "set", "eth0", "mtu", "1350"); // as tuning does
    assertEquals(List.of(), attachment.repair().compare());
    assertEquals(
        List.of(), attachment.update(KEYS + "\"mtu\": 1400, " + UpdatedAttachment.IPAM).compare());
    attachment.delete();
  }

  @Test
  void invalidValuesAreRefused() throws Exception {
    attachment.add(CONFIG);
    requireRefused("\"mtu\": 9000, ", "mtu 9000 must be between 0 and 1500");
    requireRefused("\"mtu\": 1000, ", "mtu 1000 must be at least 1280");
    requireRefused("\"mode\": \"bridg\", ", "is none of bridge");
    attachment.delete();
  }

  private void requireRefused(String keys, String message) {
    CniException e =
        assertThrows(
            CniException.class,
            () -> attachment.update(KEYS + keys + UpdatedAttachment.IPAM).compare());
    assertEquals(7, e.code(), e::getMessage);
    assertTrue(e.getMessage().contains(message), e::getMessage);
  }
}
