// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Json;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.RequiresDevice;
import cni.testing.RequiresDevice.Device;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** The VLANs of bridge ports: {@code vlan}, {@code vlanTrunk} and {@code preserveDefaultVlan}. */
@KernelTest(commands = "bridge", reference = true)
@RequiresDevice(Device.VLAN_FILTERING)
class PortVlanTest {
  private final TestHost host;
  private final NetNs a;
  private final NetNs b;

  PortVlanTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
  }

  /** Defines a network on br0 whose addresses are 10.50.0.0/24 and fd50::/64. */
  private void network(String name, String options) throws IOException {
    host.dualStack(name, options + ",");
  }

  private Cni cni() {
    return host.openCni();
  }

  /** Returns the VLANs of a port as {@code bridge -j vlan show} lists them, such as "7 PVID". */
  private List<String> vlansOf(Result result) throws Exception {
    String port = result.interfaces().get(1).name();
    String shown = TestBed.run(host.netns(), "bridge", "-j", "vlan", "show", "dev", port);
    List<String> vlans = new ArrayList<>();
    for (JsonNode entry : Json.parse("{\"ports\":" + shown + "}", "vlans").get("ports")) {
      for (JsonNode vlan : entry.get("vlans")) {
        String end = vlan.has("vlanEnd") ? "-" + vlan.get("vlanEnd") : "";
        String flags = vlan.has("flags") ? " " + vlan.get("flags") : "";
        vlans.add(vlan.get("vlan") + end + flags);
      }
    }
    return vlans;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"vlan\": 7",
        "\"vlan\": 7, \"preserveDefaultVlan\": true",
        "\"vlanTrunk\": [ { \"id\": 10 }, { \"minID\": 20, \"maxID\": 22 } ]",
        "\"vlan\": 7, \"vlanTrunk\": [ { \"id\": 10 } ]",
        "\"vlanTrunk\": [ { \"id\": 10 } ], \"preserveDefaultVlan\": true"
      })
  void portHasTheVlansThatTheReferenceGivesIt(String options) throws Exception {
    network("n", options);
    Cni reference = host.withReference("bridge", "host-local");
    List<String> ours = vlansOf(cni().network("n").add(attachment(a)));
    List<String> theirs = vlansOf(reference.network("n").add(attachment(b)));
    assertFalse(ours.isEmpty());
    assertEquals(theirs, ours);
    for (Cni checks : List.of(cni(), reference)) {
      checks.network("n").check(attachment(a));
      checks.network("n").check(attachment(b));
    }
    reference.network("n").delete(attachment(a));
    cni().network("n").delete(attachment(b));
    if (options.contains("\"vlan\"")) {
      assertOnlyGatewayLeft("n");
    } else {
      host.assertNothingLeft("n", a, b);
    }
  }

  @Test
  void packetsStayInTheirVlan() throws Exception {
    NetNs c = host.container("c");
    network("seven", "\"vlan\": 7");
    host.network(
        "eight",
        "1.1.0",
        """
        { "type": "bridge", "bridge": "br0", "vlan": 8,
          "ipam": { "type": "static", "addresses": [
            { "address": "10.50.0.100/24" }, { "address": "fd50::100/64" } ] } }
        """);
    cni().network("seven").add(attachment(a));
    Result second = cni().network("seven").add(attachment(b));
    cni().network("eight").add(attachment(c));
    for (Result.IpConfig ip : second.ips()) {
      String address = ip.address().address().getHostAddress();
      assertTrue(Probe.ping(a, address), address);
      assertFalse(Probe.ping(c, address), address);
    }
    for (String gateway : List.of("10.50.0.1", "fd50::1")) {
      assertTrue(Probe.ping(a, gateway), gateway);
      assertFalse(Probe.ping(c, gateway), gateway);
    }
    assertEquals("br0.7", second.interfaces().getLast().name());
    assertTrue(TestBed.run(host.netns(), "ip", "addr", "show", "br0.7").contains("10.50.0.1/24"));
    cni().network("seven").delete(attachment(a));
    cni().network("seven").delete(attachment(b));
    cni().network("eight").delete(attachment(c));
    assertOnlyGatewayLeft("seven");
  }

  @Test
  void trunkCarriesTaggedPackets() throws Exception {
    network("access", "\"vlan\": 10");
    host.network(
        "trunk",
        "1.1.0",
        """
        { "type": "bridge", "bridge": "br0",
          "vlanTrunk": [ { "minID": 9, "maxID": 11 } ], "ipam": {} }
        """);
    Result access = cni().network("access").add(attachment(a));
    cni().network("trunk").add(attachment(b));
    TestBed.run(b, "ip", "link", "add", "link", "eth0", "name", "v10", "type", "vlan", "id", "10");
    TestBed.run(b, "ip", "link", "set", "v10", "up");
    TestBed.addAddress(b, "v10", "10.50.0.200", 24);
    TestBed.addAddress(b, "v10", "fd50::200", 64);
    for (Result.IpConfig ip : access.ips()) {
      String address = ip.address().address().getHostAddress();
      assertTrue(Probe.ping(b, address), address);
    }
    cni().network("trunk").delete(attachment(b));
    cni().network("access").delete(attachment(a));
    assertOnlyGatewayLeft("access");
  }

  @Test
  void filteringIsEnabledOnAnExistingBridge() throws Exception {
    TestBed.run(host.netns(), "ip", "link", "add", "br0", "type", "bridge");
    network("n", "\"vlan\": 7");
    assertEquals(List.of(), vlansThatAreNot7(cni().network("n").add(attachment(a))));
    assertTrue(
        TestBed.run(host.netns(), "ip", "-d", "link", "show", "br0").contains("vlan_filtering 1"));
    cni().network("n").check(attachment(a));
    cni().network("n").delete(attachment(a));
  }

  /** Asserts that of all links the bridge and its VLAN's interface to the host are left. */
  private void assertOnlyGatewayLeft(String network) throws IOException {
    assertEquals(List.of(), host.reservations(network));
    assertEquals(List.of(), host.results());
    List<String> left =
        TestBed.linkNames(host.netns(), "veth").stream()
            .filter(name -> !name.startsWith("br0."))
            .toList();
    assertEquals(1, left.size(), left::toString); // the port of br0.N
  }

  private List<String> vlansThatAreNot7(Result result) throws Exception {
    return vlansOf(result).stream().filter(it -> !it.startsWith("7 ")).toList();
  }

  @Test
  void nameThatIsTooLongWithTheVlanLeavesNothing() throws Exception {
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.replace("br0", "bridge-name-13").formatted("\"vlan\": 4094,"));
    var error = assertThrows(CniException.class, () -> cni().network("n").add(attachment(a)));
    assertTrue(String.valueOf(error.getMessage()).contains("too long"), error::getMessage);
    assertEquals(List.of(), host.reservations("n"));
  }
}
