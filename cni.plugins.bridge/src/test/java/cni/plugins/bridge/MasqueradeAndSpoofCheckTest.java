// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import static cni.testing.TestHost.attachment;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.NftRuleset;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * {@code ipMasq} and {@code macspoofchk} of the bridge plugin: their effect on packets, and rules
 * equal to those of the reference plugins.
 */
@KernelTest(
    commands = {"nft", "iptables"},
    reference = true)
class MasqueradeAndSpoofCheckTest {
  private final TestHost host;
  private final NetNs a;
  private final NetNs outside;

  MasqueradeAndSpoofCheckTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    outside = host.outside();
  }

  private Cni cni(String... executables) {
    return host.withReference(executables);
  }

  private void network(String options) throws IOException {
    host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted("\"ipMasq\": true, " + options));
  }

  @Test
  void cniReadmeExampleMasquerades() throws Exception {
    host.network(
        "mynet",
        "0.2.0",
        """
        { "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
          "ipam": { "type": "host-local", "dataDir": "@DATA@", "subnet": "10.22.0.0/16",
                    "routes": [ { "dst": "0.0.0.0/0" } ] } }
        """);
    cni().network("mynet").add(attachment(a));
    // The outside has no route to 10.22.0.0/16: a reply proves that the source was translated.
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
    assertFalse(Probe.ping(outside, "10.22.0.2"));
    host.serve(outside, 7);
    assertEquals(Optional.of(TestHost.HOST_V4), Probe.tcp(a, TestHost.OUTSIDE_V4, 7));
    cni().network("mynet").delete(attachment(a));
  }

  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"})
  void packetsLeavingNetworkCarryHostAddress(String backend) throws Exception {
    network("\"ipMasqBackend\": \"" + backend + "\",");
    Cni cni = cni();
    cni.network("n").add(attachment(a));
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4) && Probe.ping(a, TestHost.OUTSIDE_V6));
    cni.network("n").check(attachment(a));
    TestBed.run(host.netns(), "nft", "flush", "ruleset");
    CniException e = assertThrows(CniException.class, () -> cni.network("n").check(attachment(a)));
    assertTrue(String.valueOf(e.getMessage()).contains("masq"), e::getMessage);
    assertFalse(Probe.ping(a, TestHost.OUTSIDE_V4));
    cni.network("n").delete(attachment(a));
    cni.network("n").delete(attachment(a));
    host.assertNothingLeft("n", a);
  }

  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"})
  void rulesMatchReference(String backend) throws Exception {
    network("\"ipMasqBackend\": \"" + backend + "\", \"macspoofchk\": true,");
    cni("bridge").network("n").add(attachment(a));
    String referenceRules = NftRuleset.list(host.netns());
    cni().network("n").check(attachment(a));
    cni().network("n").delete(attachment(a)); // we delete their rules
    String afterOurDelete = NftRuleset.list(host.netns());
    TestBed.run(host.netns(), "nft", "flush", "ruleset");
    host.deleteReservations("n");

    cni().network("n").add(attachment(a));
    assertEquals(referenceRules, NftRuleset.list(host.netns()));
    cni("bridge").network("n").check(attachment(a));
    if (backend.equals(
        "nftables")) { // their DEL fails if iptables is installed but lacks their chain
      String chain = "CNI-" + sha512("n" + attachment(a).containerId()).substring(0, 24);
      TestBed.run(host.netns(), "iptables", "-t", "nat", "-N", chain);
      TestBed.run(host.netns(), "ip6tables", "-t", "nat", "-N", chain);
    }
    cni("bridge").network("n").delete(attachment(a)); // they delete our rules
    assertFalse(NftRuleset.list(host.netns()).contains("cni-test"), "their DEL");
    assertFalse(afterOurDelete.contains("cni-test"), afterOurDelete);
  }

  private static String sha512(String text) throws Exception {
    byte[] hash = MessageDigest.getInstance("SHA-512").digest(text.getBytes(UTF_8));
    return HexFormat.of().formatHex(hash);
  }

  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"})
  void gcRemovesStaleRulesOfEitherImplementation(String backend) throws Exception {
    network("\"ipMasqBackend\": \"" + backend + "\",");
    NetNs b = host.container("b");
    cni().network("n").add(attachment(b));
    cni("bridge").network("n").add(attachment(a));
    host.deleteResults(); // as if killed before the results were cached
    cni().network("n").gc(Set.of(attachment(b).id()));
    String rules =
        backend.equals("nftables")
            ? NftRuleset.list(host.netns())
            : TestBed.run(host.netns(), "iptables", "-t", "nat", "-S")
                + TestBed.run(host.netns(), "ip6tables", "-t", "nat", "-S");
    assertFalse(rules.contains(attachment(a).containerId()), rules);
    assertTrue(rules.contains(attachment(b).containerId()), rules);
    assertTrue(Probe.ping(b, TestHost.OUTSIDE_V4) && Probe.ping(b, TestHost.OUTSIDE_V6));
  }

  @Test
  void framesWithForeignMacAreDropped() throws Exception {
    host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted("\"macspoofchk\": true,"));
    Cni cni = cni();
    cni.network("n").add(attachment(a));
    assertTrue(Probe.ping(a, "10.50.0.1"));
    String link = TestBed.run(a, "ip", "-o", "link", "show", "eth0");
    String mac = link.replaceFirst("(?s).*link/ether (\\S+) .*", "$1");
    TestBed.run(a, "ip", "link", "set", "eth0", "address", "02:12:34:56:78:9a");
    assertFalse(Probe.ping(a, "10.50.0.1"));
    TestBed.run(a, "ip", "link", "set", "eth0", "address", mac);
    assertTrue(Probe.ping(a, "10.50.0.1"));
    cni.network("n").check(attachment(a));
    String chain = "bridge nat cni-br-iface-" + attachment(a).containerId() + "-eth0-mac";
    TestBed.run(host.netns(), "nft", "flush chain " + chain);
    assertThrows(CniException.class, () -> cni.network("n").check(attachment(a)));
    host.deleteResults();
    cni.network("n").gc(Set.of());
    assertFalse(NftRuleset.list(host.netns()).contains("cni-br-iface"));
  }
}
