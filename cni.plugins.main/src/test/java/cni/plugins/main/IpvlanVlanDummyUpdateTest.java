// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.UpdatablePlugin;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.main.dummy.DummyPlugin;
import cni.plugins.main.ipvlan.IpvlanPlugin;
import cni.plugins.main.vlan.VlanPlugin;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.RequiresDevice;
import cni.testing.RequiresDevice.Device;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/**
 * Repair and update of attachments by ipvlan, vlan and dummy. Each plugin attaches its container
 * once for all damages, since an emulated kernel takes long for each step.
 */
@KernelTest(reference = true)
class IpvlanVlanDummyUpdateTest {
  private static final String IPAM =
      UpdatedAttachment.ipam(
          "192.0.2.10",
          "2001:db8::10",
          "{ \"dst\": \"198.51.100.0/24\" }, { \"dst\": \"2001:db8:1::/48\" }");

  private static final String IPVLAN = "\"master\": \"up0\", \"mode\": \"l2\", ";
  private static final String VLAN = "\"master\": \"up0\", \"vlanId\": 7, ";
  private static final String DNS = "\"dns\": { \"nameservers\": [\"192.0.2.53\"] }, ";

  private final TestHost host;
  private final NetNs a;
  private final NetNs outside;

  IpvlanVlanDummyUpdateTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    outside = host.outside();
    // Without duplicate address detection, which takes a second for each address that is restored.
    run(a, "for i in all default; do echo 0 >/proc/sys/net/ipv6/conf/$i/accept_dad; done");
  }

  private static String run(NetNs where, String script) throws IOException {
    return TestBed.run(where, "sh", "-c", script);
  }

  private UpdatedAttachment attachment(UpdatablePlugin plugin) {
    return new UpdatedAttachment(host, a, plugin, true);
  }

  /** Damages the addresses and routes in each way that CHECK reports, and repairs them. */
  private void requireRepairs(UpdatedAttachment attachment) throws Exception {
    attachment.requireRepair("is down", a, "ip link set eth0 down");
    attachment.requireRepair("192.0.2.10/24 is missing", a, "ip addr flush dev eth0 scope global");
    attachment.requireRepair(
        "198.51.100.0/24", a, "ip route del 198.51.100.0/24; ip -6 route del 2001:db8:1::/48");
    attachment.requireRepair(
        "192.0.2.0/24", a, "ip route flush dev eth0; ip -6 route del 2001:db8::/64 dev eth0");
  }

  private void requireMtu(int expected) throws IOException {
    String link = TestBed.run(a, "ip", "link", "show", "eth0");
    assertTrue(link.contains(" mtu " + expected + " "), link);
  }

  private static void requireRefused(UpdatedAttachment attachment, String keys, String message) {
    CniException e =
        assertThrows(CniException.class, () -> attachment.update(keys + IPAM).compare());
    assertEquals(7, e.code(), e::getMessage);
    assertTrue(e.getMessage().contains(message), e::getMessage);
  }

  private void requireMtuAndDnsChange(UpdatedAttachment attachment, String keys) throws Exception {
    requireRefused(attachment, keys + "\"mtu\": 1501, ", "mtu 1501 must be between 0 and 1500");
    requireRefused(attachment, keys + "\"mtu\": 1000, ", "mtu 1000 must be at least 1280");
    attachment.requireUpdate(keys + "\"mtu\": 1400, " + DNS + IPAM);
    requireMtu(1400);
    assertEquals(List.of("192.0.2.53"), attachment.result().dns().nameservers());
    attachment.requireUpdate(keys + IPAM);
    requireMtu(1500);
    assertTrue(attachment.result().dns().isEmpty());
    attachment.requireUpdate(keys + DNS + "\"mtu\": 1300, " + IPAM);
    requireMtu(1300);
  }

  private void requirePackets() throws IOException {
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V6));
  }

  private static void requireUnchangeable(UpdatedAttachment attachment, String keys, String finding)
      throws Exception {
    assertEquals(List.of(finding), attachment.update(keys + IPAM).compare());
  }

  /** The mode of an ipvlan is that of all ipvlans of the parent, and its address the parent's. */
  @Test
  @RequiresDevice(Device.IPVLAN)
  void ipvlanIsRepairedAndUpdated() throws Exception {
    UpdatedAttachment attachment = attachment(new IpvlanPlugin());
    HostSnapshot left = attachment.state();
    attachment.add(IPVLAN + IPAM);
    requireRepairs(attachment);
    run(a, "ip link set eth0 type ipvlan mode l3");
    attachment.requireUnchangeable("interface eth0 has ipvlan mode l3, expected l2");
    run(a, "ip link set eth0 type ipvlan mode l2");
    requireUnchangeable(
        attachment, IPVLAN.replace("l2", "l3"), "interface eth0 has ipvlan mode l2, expected l3");
    requireMtuAndDnsChange(attachment, IPVLAN);
    requirePackets();
    attachment.requireStateOfFreshAdd(left);
  }

  @Test
  @RequiresDevice(Device.VLAN)
  void vlanIsRepairedAndUpdated() throws Exception {
    run(
        outside,
        """
        ip link add link up1 name v7 type vlan id 7
        ip addr flush dev up1
        ip addr add 192.0.2.2/24 dev v7
        ip addr add 2001:db8::2/64 dev v7 nodad
        ip link set v7 up
        """);
    UpdatedAttachment attachment = attachment(new VlanPlugin());
    HostSnapshot left = attachment.state();
    attachment.add(VLAN + IPAM);
    requireRepairs(attachment);
    attachment.requireRepair("hardware address", a, "ip link set eth0 addr c2:11:22:33:44:55");
    requireUnchangeable(
        attachment, VLAN.replace("7", "8"), "interface eth0 has VLAN id 7, expected 8");
    requireMtuAndDnsChange(attachment, VLAN);
    attachment.requireRepair("has MTU 1290, expected 1300", a, "ip link set eth0 mtu 1290");
    run(host.netns(), "ip link set up0 mtu 1290"); // the kernel lowers that of the vlan
    attachment.requireUnchangeable("expected 1300; its parent up0 has MTU 1290");
    run(host.netns(), "ip link set up0 mtu 1500");
    attachment.repair().apply();
    requireMtu(1300);
    requirePackets();
    attachment.requireStateOfFreshAdd(left);
  }

  @Test
  @RequiresDevice(Device.DUMMY)
  void dummyIsRepairedAndUpdated() throws Exception {
    UpdatedAttachment attachment = attachment(new DummyPlugin());
    HostSnapshot left = attachment.state();
    attachment.add(IPAM);
    requireRepairs(attachment);
    attachment.requireRepair("hardware address", a, "ip link set eth0 addr c2:11:22:33:44:55");
    attachment.requireUpdate(DNS + IPAM);
    assertEquals(List.of("192.0.2.53"), attachment.result().dns().nameservers());
    run(a, "ip link del eth0");
    attachment.requireUnchangeable("interface eth0 is missing");
    attachment.delete();
    attachment.state().requireEqual(left);
  }

  @Test
  void changeableKeysAreThoseOfTheTestsAbove() {
    assertEquals(Set.of("mtu", "dns"), new IpvlanPlugin().changeableKeys());
    assertEquals(Set.of("mtu", "dns"), new VlanPlugin().changeableKeys());
    assertEquals(Set.of("dns"), new DummyPlugin().changeableKeys());
  }
}
