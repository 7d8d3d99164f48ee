// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.NftRuleset;
import cni.testing.Probe;
import cni.testing.RequiresDevice;
import cni.testing.RequiresDevice.Device;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.TrafficProbe;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Changes of the VLANs of a port that is in use. */
@KernelTest(
    commands = {"nft", "bridge"},
    reference = true)
@RequiresDevice(Device.VLAN_FILTERING)
class VlanUpdateTest {
  private static final Pattern VETH = Pattern.compile("veth[0-9a-f]{8}");

  private static final Duration MAX_STALL = Duration.ofSeconds(20);

  private final TestHost host;
  private final NetNs a;
  private final NetNs b;
  private final UpdatedBridge attachment;

  VlanUpdateTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
    attachment = new UpdatedBridge(host, a).withState(this::state);
  }

  /** Returns a configuration without gateway. */
  private static String config(String options) {
    return UpdatedBridge.dualStack(options).replace("\"isDefaultGateway\": true, ", "");
  }

  /** Reads what the changes may change: a whole snapshot takes long under emulation. */
  private HostSnapshot state() throws IOException, CniException {
    List<String> lines = new ArrayList<>();
    lines.addAll(TestBed.run(host.netns(), "bridge", "vlan", "show").lines().toList());
    String bridge = TestBed.run(host.netns(), "ip", "-d", "link", "show", "br0");
    lines.add(bridge.replaceFirst("(?s).*(vlan_filtering \\d).*", "$1"));
    lines.addAll(NftRuleset.list(host.netns()).lines().toList());
    return new HostSnapshot(lines);
  }

  /** Returns the VLANs of the attachment's port as {@code bridge} lists them. */
  private String vlans() throws IOException, CniException {
    String shown =
        TestBed.run(host.netns(), "bridge", "-j", "vlan", "show", "dev", attachment.port());
    String json = VETH.matcher(shown.strip()).replaceAll("veth");
    return Json.parse("{\"ports\":" + json + "}", "bridge vlan").get("ports").toString();
  }

  private void change(String config) throws Exception {
    attachment.update(config).requireUndo();
    attachment.apply(config);
    attachment.check();
    attachment.checkByReference();
  }

  private void assertReachesOther() throws IOException {
    assertTrue(Probe.ping(a, "10.50.0.3") && Probe.ping(a, "fd50::3"));
  }

  /** Adds the attachment anew and returns its VLANs. */
  private String freshVlans(String config) throws Exception {
    attachment.deleteByReference();
    attachment.add(config);
    return vlans();
  }

  @Test
  void vlansOfAnIsolatedNetworkChange() throws Exception {
    String ten = config("\"vlan\": 10,");
    String twenty = config("\"vlan\": 20,");
    String trunk = config("\"vlan\": 20, \"vlanTrunk\": [ { \"minID\": 9, \"maxID\": 11 } ],");
    String none = config("");
    attachment.add(ten);
    var other = new UpdatedBridge(host, b);
    other.add(twenty);
    assertFalse(Probe.ping(a, "10.50.0.3") || Probe.ping(a, "fd50::3"));

    change(twenty);
    assertReachesOther();
    String changed = vlans();
    try (var probe = TrafficProbe.start(b, a, "10.50.0.2", "fd50::2")) {
      attachment.apply(trunk);
      attachment.apply(config("\"vlan\": 20, \"preserveDefaultVlan\": true,"));
      probe.requireNoLoss(MAX_STALL);
    }
    attachment.apply(trunk);
    String trunked = vlans();
    change(none);
    assertFalse(Probe.ping(a, "10.50.0.3"));
    String removed = vlans();
    assertEquals(freshVlans(none), removed);
    assertEquals(freshVlans(trunk), trunked);
    assertEquals(freshVlans(twenty), changed);

    other.deleteByReference();
    attachment.deleteByReference();
    host.assertNothingLeft("n", a, b);
  }

  @Test
  void trunkOfAnAttachmentWithGatewayChanges() throws Exception {
    String ten = UpdatedBridge.dualStack("\"vlan\": 10,");
    String trunk =
        UpdatedBridge.dualStack(
            "\"vlan\": 10, \"vlanTrunk\": [ { \"id\": 30 } ], \"preserveDefaultVlan\": true,");
    attachment.add(ten);
    host.awaitAddresses();
    String gateway = gatewayVlans();
    try (var probe = TrafficProbe.start(host.netns(), a, "10.50.0.2", "fd50::2")) {
      change(trunk);
      probe.requireNoLoss(MAX_STALL);
    }
    assertTrue(vlans().contains("\"vlan\":30"), vlans());
    change(ten);
    assertFalse(vlans().contains("\"vlan\":30"), vlans());
    assertEquals(gateway, gatewayVlans());
    attachment.deleteByReference();
    assertEquals(List.of(), host.reservations("n"));
  }

  /** Returns the VLANs of all ports but the attachment's. */
  private String gatewayVlans() throws IOException {
    return TestBed.run(host.netns(), "bridge", "vlan", "show")
        .replaceAll("(?ms)^" + attachment.port() + ".*?(?=^\\S|\\z)", "");
  }

  @Test
  void vlansAreAddedToABridgeThatDoesNotFilter() throws Exception {
    String vlan = config("\"vlan\": 10, \"preserveDefaultVlan\": true, \"macspoofchk\": true,");
    attachment.add(config(""));
    var other = new UpdatedBridge(host, b);
    other.add(config(""));
    assertReachesOther();
    change(vlan);
    assertFalse(Probe.ping(a, "10.50.0.3"));
    TestBed.run(host.netns(), "bridge", "vlan", "add", "dev", attachment.port(), "vid", "55");
    change(config(""));
    assertTrue(vlans().contains("\"vlan\":55"), vlans()); // somebody else's
    assertReachesOther();
    other.delete();
    attachment.deleteByReference();
    host.assertNothingLeft("n", a, b);
  }
}
