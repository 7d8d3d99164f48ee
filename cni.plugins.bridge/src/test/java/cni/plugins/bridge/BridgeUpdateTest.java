// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Json;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.TrafficProbe;
import cni.testing.UpdateTester;
import java.io.IOException;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Changes of the configuration of an attachment that is in use. */
@KernelTest(
    commands = {"nft", "bridge", "tc", "iptables"},
    reference = true)
class BridgeUpdateTest {
  private static final String NFT_MASQ = "\"ipMasq\": true, \"ipMasqBackend\": \"nftables\",";

  private final TestHost host;
  private final NetNs a;
  private final UpdatedBridge attachment;

  BridgeUpdateTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    attachment = new UpdatedBridge(host, a);
  }

  private static String config(@Nullable String options) {
    return UpdatedBridge.dualStack(
        options == null
            ? ""
            : options
                .replace("MASQ-NFT", NFT_MASQ)
                .replace("MASQ-IPT", NFT_MASQ.replace("nftables", "iptables")));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "'\"mtu\": 1400,'|'\"mtu\": 1300,'",
        "'\"mtu\": 1400,'|'\"mtu\": 9000,'",
        "'\"mtu\": 1400,'|",
        "|'\"mtu\": 1400,'",
        "|'\"hairpinMode\": true,'",
        "'\"hairpinMode\": true,'|",
        "'\"hairpinMode\": true,'|'\"portIsolation\": true,'",
        "'\"portIsolation\": true,'|",
        "|'\"promiscMode\": true,'",
        "'\"promiscMode\": true,'|",
        "|MASQ-NFT",
        "|MASQ-IPT",
        "MASQ-NFT|",
        "MASQ-IPT|",
        "MASQ-NFT|MASQ-IPT",
        "MASQ-IPT|MASQ-NFT",
        "|'\"macspoofchk\": true,'",
        "'\"macspoofchk\": true,'|",
        "'\"forceAddress\": true,'|",
        "|'\"forceAddress\": true,'",
        "|'\"dns\": { \"nameservers\": [ \"10.1.1.1\" ] },'",
        "'\"dns\": { \"nameservers\": [ \"10.1.1.1\" ] },'|",
        "'\"mtu\": 1400, \"macspoofchk\": true, MASQ-NFT'|'\"hairpinMode\": true, MASQ-IPT'",
      })
  void changedStateEqualsThatOfAFreshAdd(@Nullable String before, @Nullable String after)
      throws Exception {
    host.outside();
    attachment.add(config(before));
    host.awaitAddresses();
    UpdateTester update = attachment.update(config(after));
    if (!update.compare().isEmpty()) {
      update.requireUndo();
    }
    try (var probe = TrafficProbe.start(host.netns(), a, "10.50.0.2", "fd50::2")) {
      attachment.apply(config(after));
      probe.requireNoLoss();
    }
    attachment.check();
    attachment.checkByReference();
    attachment.requireEqualToFresh();
  }

  /** Calls the reference's DEL, which fails if iptables is installed but lacks its chain. */
  private void deleteByReference() throws Exception {
    String name = "n" + TestBed.nameOf(a);
    byte[] hash = MessageDigest.getInstance("SHA-512").digest(name.getBytes(UTF_8));
    String chain = "CNI-" + HexFormat.of().formatHex(hash).substring(0, 24);
    TestBed.tryRun(host.netns(), "iptables", "-t", "nat", "-N", chain);
    TestBed.tryRun(host.netns(), "ip6tables", "-t", "nat", "-N", chain);
    attachment.deleteByReference();
  }

  @ParameterizedTest
  @ValueSource(strings = {"MASQ-NFT \"macspoofchk\": true,", "MASQ-IPT \"mtu\": 1300,"})
  void referenceChecksAndDeletesAnUpdatedAttachment(String options) throws Exception {
    attachment.add(config(""));
    attachment.apply(config(options));
    attachment.checkByReference();
    deleteByReference();
    host.assertNothingLeft("n", a);
    String rules = TestBed.run(host.netns(), "nft", "list", "ruleset");
    assertFalse(rules.contains(TestBed.nameOf(a)), rules);
  }

  @Test
  void attachmentsOfTheReferenceAreUpdated() throws Exception {
    attachment.addByReference(config("MASQ-NFT \"mtu\": 1400,"));
    attachment.check();
    attachment.apply(config("\"macspoofchk\": true, \"mtu\": 1300,"));
    attachment.checkByReference();
    deleteByReference();
    host.assertNothingLeft("n", a);
  }

  private static String routed(String bridge, String routes) {
    return """
        { "type": "bridge", "bridge": "br0", "isGateway": true, %s
          "ipam": { "type": "host-local", "dataDir": "@DATA@", "routes": [ %s ],
                    "ranges": [[{ "subnet": "10.50.0.0/24" }], [{ "subnet": "fd50::/64" }]] } }
        """
        .formatted(bridge, routes);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "|'{ \"dst\": \"198.51.100.0/24\" }, { \"dst\": \"2001:db8:1::/64\" }'",
        "'{ \"dst\": \"198.51.100.0/24\" }, { \"dst\": \"2001:db8:1::/64\" }'|",
        "'{ \"dst\": \"198.51.100.0/24\" }'|'{ \"dst\": \"198.51.101.0/24\" }'",
        "'{ \"dst\": \"198.51.100.0/24\" }'|'{ \"dst\": \"198.51.100.0/24\", \"gw\": \"10.50.0.9\" }'",
        "'{ \"dst\": \"2001:db8:1::/64\" }'|'{ \"dst\": \"2001:db8:1::/64\", \"gw\": \"fd50::9\" }'",
        "'{ \"dst\": \"198.51.100.0/24\" }'|'{ \"dst\": \"198.51.100.0/24\", \"mtu\": 1300 }'",
        "'{ \"dst\": \"2001:db8:1::/64\" }'|'{ \"dst\": \"2001:db8:1::/64\", \"mtu\": 1300 }'",
        "'{ \"dst\": \"0.0.0.0/0\" }'|'{ \"dst\": \"0.0.0.0/0\" }, { \"dst\": \"::/0\" }'",
      })
  void routesChangeWithoutLoss(@Nullable String before, @Nullable String after) throws Exception {
    String now = routed("", after == null ? "" : after);
    attachment.add(routed("", before == null ? "" : before));
    host.awaitAddresses();
    attachment.update(now).requireUndo();
    try (var probe = TrafficProbe.start(host.netns(), a, "10.50.0.2", "fd50::2")) {
      attachment.apply(now);
      probe.requireNoLoss();
    }
    attachment.requireEqualToFresh();
  }

  @Test
  void defaultGatewayIsSwitchedOnAndOff() throws Exception {
    String off = routed("", "{ \"dst\": \"0.0.0.0/0\" }");
    String on = routed("\"isDefaultGateway\": true,", "{ \"dst\": \"0.0.0.0/0\" }");
    attachment.add(off);
    assertEquals("", TestBed.run(a, "ip", "-6", "route", "show", "default"));
    attachment.update(on).requireUndo();
    attachment.apply(on);
    assertTrue(TestBed.run(a, "ip", "-6", "route", "show", "default").contains("via fd50::1"));
    attachment.update(off).requireUndo();
    attachment.apply(off);
    assertEquals("", TestBed.run(a, "ip", "-6", "route", "show", "default"));
    assertTrue(TestBed.run(a, "ip", "route", "show", "default").contains("via 10.50.0.1"));
    attachment.requireEqualToFresh();
  }

  private static Map<String, JsonNode> ips(String addresses) throws CniException {
    return Map.of("ips", Json.parse("{\"ips\":" + addresses + "}", "ips").get("ips"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"})
  void replacedAddressIsCutAndTheOthersAreNot(String backend) throws Exception {
    host.outside();
    String config =
        config("\"ipMasq\": true, \"ipMasqBackend\": \"" + backend + "\",")
            .replace(
                "\"type\": \"bridge\"", "\"type\": \"bridge\", \"capabilities\": {\"ips\": true}");
    attachment.add(config);
    host.awaitAddresses();
    Map<String, JsonNode> arguments = ips("[\"10.50.0.77\"]");
    attachment.update(config, arguments).requireUndo();
    try (var kept = TrafficProbe.start(host.netns(), a, "fd50::2");
        var replaced = TrafficProbe.start(host.netns(), a, "10.50.0.2")) {
      Result updated = attachment.apply(config, arguments);
      assertEquals(
          List.of(Cidr.parse("10.50.0.77/24"), Cidr.parse("fd50::2/64")),
          updated.ips().stream().map(Result.IpConfig::address).toList());
      kept.requireNoLoss();
      replaced.requireCut();
    }
    assertFalse(TestBed.run(a, "ip", "addr", "show", "eth0").contains("10.50.0.2/"));
    assertEquals(List.of("10.50.0.77", "fd50::2"), host.reservations("n"));
    assertTrue(Probe.ping(host.netns(), "10.50.0.77"));
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4) && Probe.ping(a, TestHost.OUTSIDE_V6));
    attachment.check();
    attachment.checkByReference();
    deleteByReference();
    host.assertNothingLeft("n", a);
    String rules = TestBed.run(host.netns(), "nft", "list", "ruleset");
    assertFalse(rules.contains("10.50.0."), rules);
  }

  @Test
  void adoptedPortChanges() throws Exception {
    attachment.addToExistingInterface(config(""));
    host.awaitAddresses();
    String now = config("\"hairpinMode\": true, \"macspoofchk\": true, MASQ-NFT");
    attachment.update(now).requireUndo();
    try (var probe = TrafficProbe.start(host.netns(), a, "10.50.0.2", "fd50::2")) {
      attachment.apply(now);
      probe.requireNoLoss();
    }
    attachment.check();
    assertTrue(TestBed.run(host.netns(), "ip", "-d", "link", "show", "h0").contains("hairpin on"));
    attachment.delete();
    String rules = TestBed.run(host.netns(), "nft", "list", "ruleset");
    assertFalse(rules.contains(TestBed.nameOf(a)), rules);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "'\"mtu\": -1,'|mtu",
        "'\"mtu\": 1000,'|1280",
        "'\"hairpinMode\": true, \"promiscMode\": true,'|promiscMode",
        "'\"ipMasq\": true, \"ipMasqBackend\": \"ebtables\",'|ipMasqBackend",
        "'\"vlanTrunk\": [ { \"minID\": 5, \"maxID\": 3 } ],'|minID",
      })
  void invalidValuesAreRefusedByComparing(String after, String part) throws Exception {
    attachment.add(config(""));
    CniException e =
        assertThrows(CniException.class, () -> attachment.update(config(after)).compare());
    assertTrue(String.valueOf(e.getMessage()).contains(part), e::getMessage);
  }

  @Test
  void vlanOfAGatewayCannotChange() throws Exception {
    attachment.add(config(""));
    List<String> findings = attachment.update(config("\"vlan\": 7,")).compare();
    assertTrue(
        findings.stream().anyMatch(it -> it.contains("the gateway of br0 is in VLAN 0")),
        findings::toString);
  }
}
