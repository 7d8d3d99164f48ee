// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.AttachmentUpdate;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.TrafficProbe;
import cni.testing.UpdateTester;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.StringNode;

/** Changes of the hardware address of an interface that is in use. */
@KernelTest(
    commands = {"nft", "bridge"},
    reference = true)
class MacUpdateTest {
  private static final String FIRST = "02:aa:00:00:00:01";
  private static final String SECOND = "02:aa:00:00:00:02";
  private static final String FIRST_LINK_LOCAL = "fe80::aa:ff:fe00:1/64";
  private static final String SECOND_LINK_LOCAL = "fe80::aa:ff:fe00:2/64";

  private final TestHost host;
  private final NetNs a;
  private final NetNs b;
  private final UpdatedBridge attachment;

  MacUpdateTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
    attachment = new UpdatedBridge(host, a);
  }

  private static String config(@Nullable String options) {
    return UpdatedBridge.dualStack(
        "\"capabilities\": { \"mac\": true }, " + (options == null ? "" : options));
  }

  private static Map<String, JsonNode> mac(@Nullable String mac) {
    return mac == null ? Map.of() : Map.of("mac", StringNode.valueOf(mac));
  }

  private String macOf(NetNs netns, String link) throws IOException {
    return TestBed.run(netns, "ip", "-o", "link", "show", link)
        .replaceFirst("(?s).*link/ether (\\S+) .*", "$1");
  }

  private String linkLocalAddresses() throws IOException {
    return TestBed.run(a, "ip", "-6", "addr", "show", "eth0", "scope", "link");
  }

  private void assertNeighboursKnow(NetNs neighbour, String link, String mac) throws IOException {
    for (String address : List.of("10.50.0.2", "fd50::2")) {
      String entry = TestBed.run(neighbour, "ip", "neigh", "show", address, "dev", link);
      assertTrue(entry.contains(mac), entry);
    }
  }

  private String forwardingDatabase() throws IOException {
    return TestBed.run(host.netns(), "bridge", "fdb", "show", "dev", attachment.port());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        FIRST + "||",
        "||",
        FIRST + "|'\"macspoofchk\": true,'|'\"macspoofchk\": true,'",
        FIRST + "|'\"macspoofchk\": true,'|",
        FIRST + "||'\"macspoofchk\": true, \"mtu\": 1400,'",
      })
  void changedAddressIsThatOfAFreshAdd(
      @Nullable String mac, @Nullable String before, @Nullable String after) throws Exception {
    attachment.add(config(before), mac(mac));
    var other = new UpdatedBridge(host, b);
    other.add(config(null));
    host.awaitAddresses();
    String former = macOf(a, "eth0");
    UpdateTester update = attachment.update(config(after), mac(SECOND));
    update.requireUndo();
    assertEquals(former, macOf(a, "eth0"));
    try (var probe = TrafficProbe.start(host.netns(), a, "10.50.0.2", "fd50::2");
        var neighbour = TrafficProbe.start(b, a, "10.50.0.2", "fd50::2")) {
      Result updated = attachment.apply(config(after), mac(SECOND));
      assertEquals(SECOND, updated.interfaces().get(2).mac());
      assertNeighboursKnow(host.netns(), "br0", SECOND);
      assertNeighboursKnow(b, "eth0", SECOND);
      probe.requireNoByteLost();
      neighbour.requireNoByteLost();
    }
    assertEquals(SECOND, macOf(a, "eth0"));
    assertFalse(forwardingDatabase().contains(former), forwardingDatabase());
    String linkLocal = linkLocalAddresses();
    assertTrue(linkLocal.contains(SECOND_LINK_LOCAL), linkLocal);
    assertEquals(1, linkLocal.lines().filter(it -> it.contains("inet6")).count(), linkLocal);
    attachment.check();
    attachment.checkByReference();
    other.deleteByReference();
    attachment.requireEqualToFresh();
    attachment.deleteByReference();
    host.assertNothingLeft("n", a, b);
  }

  @Test
  void spoofedFramesAreDroppedAfterTheChange() throws Exception {
    String config = config("\"macspoofchk\": true,");
    attachment.add(config, mac(FIRST));
    attachment.apply(config, mac(SECOND));
    assertTrue(Probe.ping(a, "10.50.0.1") && Probe.ping(a, "fd50::1"));
    String rules = TestBed.run(host.netns(), "nft", "list", "table", "bridge", "nat");
    assertFalse(rules.contains(FIRST), rules);
    TestBed.run(a, "ip", "link", "set", "eth0", "address", FIRST);
    assertFalse(Probe.ping(a, "10.50.0.1"));
    attachment.repair().requireUndo();
    attachment.repairAll();
    assertTrue(Probe.ping(a, "10.50.0.1"));
  }

  @Test
  void addressThatIsNoLongerRequestedStays() throws Exception {
    attachment.add(config(null), mac(FIRST));
    assertEquals(List.of(), attachment.update(config(null), mac(null)).compare());
    assertEquals(FIRST, attachment.apply(config(null), mac(null)).interfaces().get(2).mac());
    attachment.check();
    attachment.update(config(null), mac(SECOND)).requireUndo();
    attachment.apply(config(null), mac(SECOND));
    assertEquals(SECOND, macOf(a, "eth0"));
    attachment.check();
  }

  /** Without addresses of an ipam plugin ADD leaves the announcements disabled. */
  @Test
  void repairedAddressIsAnnounced() throws Exception {
    attachment.add(config(null), mac(FIRST));
    host.awaitAddresses();
    TestBed.run(a, "sysctl", "-w", "net.ipv4.conf.eth0.arp_notify=0");
    TestBed.run(a, "sysctl", "-w", "net.ipv6.conf.eth0.ndisc_notify=0");
    TestBed.run(a, "ip", "link", "set", "eth0", "address", "02:aa:00:00:00:99");
    assertTrue(Probe.ping(a, "10.50.0.1") && Probe.ping(a, "fd50::1"));
    for (String address : List.of("10.50.0.2", "fd50::2")) {
      TestBed.run(
          host.netns(),
          "ip neigh replace ADDRESS lladdr 02:aa:00:00:00:99 dev br0 nud reachable"
              .replace("ADDRESS", address)
              .split(" "));
    }
    attachment.repairAll();
    assertNeighboursKnow(host.netns(), "br0", FIRST);
    assertEquals("0", TestBed.run(a, "sysctl", "-n", "net.ipv4.conf.eth0.arp_notify").strip());
    assertEquals("0", TestBed.run(a, "sysctl", "-n", "net.ipv6.conf.eth0.ndisc_notify").strip());
    String linkLocal = linkLocalAddresses();
    assertTrue(linkLocal.contains(FIRST_LINK_LOCAL), linkLocal);
  }

  /** CHECK and repair go by the result, which says what a later plugin has set. */
  @Test
  void addressOfALaterPluginStays() throws Exception {
    attachment.add(config(null), mac(FIRST));
    TestBed.run(a, "ip", "link", "set", "eth0", "address", "02:aa:00:00:00:99");
    attachment.describeMac("02:aa:00:00:00:99");
    assertEquals(List.of(), attachment.update(config(null), mac(SECOND)).compare());
    Result updated = attachment.apply(config(null), mac(SECOND));
    assertEquals("02:aa:00:00:00:99", updated.interfaces().get(2).mac());
  }

  @Test
  void adoptedInterfaceKeepsItsAddress() throws Exception {
    attachment.addToExistingInterface(config(null));
    String mac = macOf(a, "eth0");
    assertEquals(List.of(), attachment.update(config(null), mac(SECOND)).compare());
    attachment.apply(config(null), mac(SECOND));
    assertEquals(mac, macOf(a, "eth0"));
  }

  @Test
  void attachmentsOfTheReferenceAreUpdated() throws Exception {
    attachment.addByReference(config("\"macspoofchk\": true,"));
    host.awaitAddresses();
    attachment.update(config("\"macspoofchk\": true,"), mac(SECOND)).requireUndo();
    try (var probe = TrafficProbe.start(host.netns(), a, "10.50.0.2", "fd50::2")) {
      attachment.apply(config("\"macspoofchk\": true,"), mac(SECOND));
      probe.requireNoByteLost();
    }
    attachment.checkByReference();
    attachment.deleteByReference();
    host.assertNothingLeft("n", a);
    String rules = TestBed.run(host.netns(), "nft", "list", "ruleset");
    assertFalse(rules.contains(TestBed.nameOf(a)), rules);
  }

  @ParameterizedTest
  @ValueSource(strings = {"runtimeConfig", "args.cni", "CNI_ARGS"})
  void eachRequestChangesTheAddress(String request) throws Exception {
    host.network("n", "1.1.0", config(null));
    Network network = host.openCni().network("n");
    network.add(attachment(a));
    AttachmentUpdate none = AttachmentUpdate.NONE;
    AttachmentUpdate update =
        switch (request) {
          case "runtimeConfig" -> none.withCapabilityArg("mac", StringNode.valueOf(SECOND));
          case "args.cni" -> none.withKey("bridge", "args.cni.mac", StringNode.valueOf(SECOND));
          default -> none.withArg("MAC", Optional.of(SECOND));
        };
    network.update(attachment(a).id(), update);
    assertEquals(SECOND, macOf(a, "eth0"));
    network.check(attachment(a));
    assertEquals(
        SECOND, network.cachedResult(attachment(a).id()).orElseThrow().interfaces().get(2).mac());
    network.delete(attachment(a));
    host.assertNothingLeft("n", a);
  }

  @Test
  void invalidAddressIsRefused() throws Exception {
    attachment.add(config(null), mac(FIRST));
    CniException e =
        assertThrows(
            CniException.class,
            () -> attachment.update(config(null), mac("01:00:00:00:00:01")).compare());
    assertTrue(e.is(ErrorCode.INVALID_CONFIG), e::getMessage);
    assertTrue(String.valueOf(e.getMessage()).contains("runtimeConfig.mac"), e::getMessage);
  }
}
