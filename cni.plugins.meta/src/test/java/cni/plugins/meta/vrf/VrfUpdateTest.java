// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.vrf;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.meta.UpdateRequests;
import cni.runtime.AttachmentUpdate;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.RequiresDevice;
import cni.testing.RequiresDevice.Device;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.UpdateTester;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.IntNode;
import tools.jackson.databind.node.StringNode;

/**
 * Repair of a VRF, of the membership of its interface and of its routes, and updates of what the
 * plugin before it configures.
 */
@KernelTest(reference = true)
class VrfUpdateTest {
  private static final String VRF = "{ \"type\": \"vrf\", \"vrfname\": \"red\", \"table\": 77 }";

  private static final String ADDRESSES =
      """
      [ { "address": "192.0.2.10/24", "gateway": "192.0.2.2" },
        { "address": "2001:db8::10/64", "gateway": "2001:db8::2" } ]
      """;

  private static final String ROUTES = "[ { \"dst\": \"0.0.0.0/0\" }, { \"dst\": \"::/0\" } ]";

  private final TestHost host;
  private final NetNs a;
  private final AttachmentId id;

  VrfUpdateTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    id = attachment(a).id();
    host.outside();
    // Without duplicate address detection, which takes a second for each address that is restored.
    run("for i in all default; do echo 0 >/proc/sys/net/ipv6/conf/$i/accept_dad; done");
    host.network(
        "n",
        "1.1.0",
        """
        { "type": "macvlan", "master": "up0",
          "ipam": { "type": "static", "addresses": %s, "routes": %s } }
        """
            .formatted(ADDRESSES, ROUTES),
        VRF);
  }

  private String run(String script) throws IOException {
    return TestBed.run(a, "sh", "-c", script);
  }

  private UpdateTester repair(Result result) throws CniException {
    return new UpdateTester(
        new VrfPlugin(),
        UpdateRequests.unchanged(host, "n", attachment(a), result, VRF),
        () -> HostSnapshot.ofRoutes(a));
  }

  /** A VRF that was created again has another hardware address. */
  private void requireState(HostSnapshot expected) throws IOException {
    HostSnapshot.ofRoutes(a).withoutRandomNames().requireEqual(expected.withoutRandomNames());
  }

  /** Damages the attachment, and requires that a repair can be undone and restores the state. */
  private void requireRepair(Result result, String finding, String damage) throws Exception {
    HostSnapshot before = HostSnapshot.ofRoutes(a);
    run(damage);
    String message = repair(result).check().orElse("");
    assertTrue(message.contains(finding), damage + ": " + message);
    repair(result).requireUndo();
    assertEquals(result, repair(result).apply());
    requireState(before);
  }

  private void requirePackets() throws IOException, InterruptedException {
    TestHost.awaitAddresses(a); // the repair took the interface down
    assertTrue(run("ping -c1 -w30 -I red 192.0.2.2").contains("1 received"));
    assertTrue(run("ping -6 -c1 -w30 -I red 2001:db8::2").contains("1 received"));
  }

  @Test
  @RequiresDevice(Device.VRF)
  void damageIsRepaired() throws Exception {
    try (Cni cni = host.openCni();
        Cni reference = host.withReference("vrf")) {
      Result result = cni.network("n").add(attachment(a));
      assertEquals(List.of(), repair(result).compare());
      requireRepair(result, "route ::/0 via", "ip -6 route del default table 77");
      requireRepair(result, "route 0.0.0.0/0 via", "ip route del default table 77");
      requireRepair(result, "VRF red is down", "ip link set red down");
      requireRepair(result, "eth0 does not belong to VRF red", "ip link set eth0 nomaster");
      requireRepair(result, "VRF red is missing", "ip link del red");
      requirePackets();
      run("ip link add blue type vrf table 5; ip link set eth0 master blue");
      String other = repair(result).check().orElse("");
      assertTrue(other.contains("but to another master interface"), other);
      run("ip link del blue");
      assertEquals(List.of(), cni.network("n").repair(id).unrepaired());
      reference.network("n").check(attachment(a));
      reference.network("n").delete(attachment(a));
      assertEquals("", run("ip link show type vrf; ip link show type macvlan"));
    }
  }

  /** The plugin before restores the interface, with which the kernel restores its routes. */
  @Test
  @RequiresDevice(Device.VRF)
  void damageOfTheInterfaceIsRepairedByTheChain() throws Exception {
    try (Cni cni = host.openCni()) {
      Network network = cni.network("n");
      network.add(attachment(a));
      HostSnapshot before = HostSnapshot.ofRoutes(a);
      for (String damage :
          List.of("ip addr flush dev eth0 scope global", "ip link set eth0 down")) {
        run(damage);
        assertThrows(CniException.class, () -> network.check(attachment(a)));
        assertEquals(List.of(), network.repair(id).unrepaired(), damage);
        requireState(before);
        network.check(attachment(a));
      }
      network.delete(attachment(a));
    }
  }

  private static JsonNode json(String text) throws CniException {
    return Json.parse("{\"of\":" + text + "}", "test").get("of");
  }

  /** What the plugin before adds and removes is added to and removed from the VRF's table. */
  @Test
  @RequiresDevice(Device.VRF)
  void routesAndAddressesOfThePluginBeforeAreUpdated() throws Exception {
    try (Cni cni = host.openCni()) {
      Network network = cni.network("n");
      network.add(attachment(a));
      HostSnapshot before = HostSnapshot.ofRoutes(a);
      String more =
          ROUTES.replace("]", ", {\"dst\":\"198.51.100.0/24\"},{\"dst\":\"2001:db8:1::/48\"} ]");
      update(network, "ipam.routes", more);
      assertTrue(run("ip route show table 77").contains("198.51.100.0/24 via 192.0.2.2"));
      assertTrue(run("ip -6 route show table 77").contains("2001:db8:1::/48 via 2001:db8::2"));
      assertEquals("", run("ip route show").strip());
      update(network, "ipam.routes", ROUTES);
      requireState(before);
      update(
          network,
          "ipam.addresses",
          ADDRESSES.replace("192.0.2.", "203.0.113.").replace("db8:", "db8:2:"));
      assertEquals("", run("ip route show").strip());
      String routes = run("ip route show table 77; ip -6 route show table 77");
      assertTrue(routes.contains("default via 203.0.113.2"), routes);
      assertTrue(routes.contains("default via 2001:db8:2::2"), routes);
      update(network, "ipam.addresses", ADDRESSES);
      requireState(before);
      network.delete(attachment(a));
      assertEquals("", run("ip link show type vrf; ip link show type macvlan"));
    }
  }

  private void update(Network network, String key, String value) throws CniException {
    network.update(id, AttachmentUpdate.NONE.withKey("macvlan", key, json(value)));
    network.check(attachment(a));
  }

  /** The kernel cannot change the table of a VRF, and takes an interface down to move it. */
  @Test
  @RequiresDevice(Device.VRF)
  void tableAndNameAreRefusedWithoutRecreation() throws Exception {
    assertEquals(Set.of(), new VrfPlugin().changeableKeys());
    try (Cni cni = host.openCni()) {
      Network network = cni.network("n");
      network.add(attachment(a));
      HostSnapshot before = HostSnapshot.ofRoutes(a);
      AttachmentUpdate table = AttachmentUpdate.NONE.withKey("vrf", "table", IntNode.valueOf(78));
      requireRefused(network, table, "table of plugin vrf cannot change");
      requireRefused(
          network,
          table.withKey("vrf", "vrfname", StringNode.valueOf("blue")),
          "table, vrfname of plugin vrf cannot change");
      requireState(before);
      network.check(attachment(a));
      assertTrue(network.update(id, table.allowRecreation()).isRecreated());
      assertTrue(run("ip -d link show red").contains("vrf table 78"));
      network.delete(attachment(a));
      assertEquals("", run("ip link show type vrf"));
    }
  }

  private void requireRefused(Network network, AttachmentUpdate change, String message) {
    CniException e = assertThrows(CniException.class, () -> network.update(id, change));
    assertEquals(ErrorCode.INVALID_PARAMETER.value(), e.code(), e::getMessage);
    assertTrue(e.getMessage().contains(message), e::getMessage);
    assertTrue(e.getMessage().contains("--recreate"), e::getMessage);
  }
}
