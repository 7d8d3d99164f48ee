// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.macvlan;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The macvlan plugin, with a parent on the host or in the container. */
@KernelTest(reference = true)
class MacvlanTest {
  private final TestHost host;
  private final NetNs a;

  MacvlanTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    host.outside();
  }

  private void network(String options) throws IOException {
    host.network(
        "n",
        "1.1.0",
        """
        { "type": "macvlan", %s
          "ipam": { "type": "host-local", "dataDir": "@DATA@",
                    "routes": [{ "dst": "198.51.100.0/24" }],
                    "ranges": [[{ "subnet": "192.0.2.0/24", "rangeStart": "192.0.2.10",
                                  "gateway": "192.0.2.2" }],
                               [{ "subnet": "2001:db8::/64", "rangeStart": "2001:db8::10",
                                  "gateway": "2001:db8::2" }]] } }
        """
            .formatted(options));
  }

  private String refusal(Cni cni) {
    CniException e = assertThrows(CniException.class, () -> cni.network("n").add(attachment(a)));
    return String.valueOf(e.getMessage());
  }

  private void requireNothingLeft() throws IOException {
    assertEquals("", TestBed.run(a, "ip", "link", "show", "type", "macvlan"));
    host.assertNothingLeft("n", a);
  }

  /** The host has an eth0, too, which must not conflict with the container's. */
  @Test
  void containerJoinsNetworkOfParent() throws Exception {
    TestBed.run(host.netns(), "ip", "link", "add", "eth0", "type", "ifb");
    network("\"master\": \"up0\", \"mtu\": 1400, \"bcqueuelen\": 500,");
    Cni cni = host.openCni();
    Result result = cni.network("n").add(attachment(a));
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V6));
    String link = TestBed.run(a, "ip", "-d", "link", "show", "eth0");
    assertTrue(link.contains("mtu 1400") && link.contains("macvlan mode bridge"), link);
    assertTrue(link.contains("bcqueuelen 500"), link);
    assertTrue(link.contains(result.interfaces().getFirst().mac()), link);
    assertTrue(TestBed.run(a, "ip", "route").contains("198.51.100.0/24 via 192.0.2.2"));
    cni.network("n").check(attachment(a));
    cni.network("n").delete(attachment(a));
    cni.network("n").delete(attachment(a));
    requireNothingLeft();
  }

  @ParameterizedTest
  @ValueSource(strings = {"bridge", "private", "vepa", "passthru"})
  void modeIsAppliedAndChecked(String mode) throws Exception {
    network("\"master\": \"up0\", \"mode\": \"" + mode + "\",");
    Cni cni = host.openCni();
    cni.network("n").add(attachment(a));
    String link = TestBed.run(a, "ip", "-d", "link", "show", "eth0");
    assertTrue(link.contains("macvlan mode " + mode), link);
    cni.network("n").check(attachment(a));
    if (!mode.equals("passthru")) { // which cannot be changed
      String other = mode.equals("vepa") ? "bridge" : "vepa";
      TestBed.run(a, "ip", "link", "set", "eth0", "type", "macvlan", "mode", other);
      CniException e =
          assertThrows(CniException.class, () -> host.openCni().network("n").check(attachment(a)));
      assertTrue(String.valueOf(e.getMessage()).contains("macvlan mode"), e::getMessage);
    }
    host.openCni().network("n").delete(attachment(a));
    requireNothingLeft();
  }

  @Test
  void checkReportsEachChange() throws Exception {
    network("\"master\": \"up0\",");
    String[] changes = {
      "ip link set eth0 down",
      "ip link set eth0 address 02:11:22:33:44:55",
      "ip addr del 192.0.2.10/24 dev eth0",
      "ip addr del 2001:db8::10/64 dev eth0",
      "ip route del 198.51.100.0/24",
      "ip link del eth0"
    };
    for (String change : changes) {
      Cni cni = host.openCni();
      cni.network("n").add(attachment(a));
      TestBed.run(a, change.split(" ", -1));
      assertThrows(CniException.class, () -> cni.network("n").check(attachment(a)), change);
      cni.network("n").delete(attachment(a));
      requireNothingLeft();
      host.deleteReservations("n");
    }
  }

  @Test
  void missingMasterFallsBackToDefaultRoute() throws Exception {
    TestBed.run(host.netns(), "ip", "route", "add", "default", "via", TestHost.OUTSIDE_V4);
    network("");
    host.openCni().network("n").add(attachment(a));
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
    host.openCni().network("n").status();
    host.openCni().network("n").delete(attachment(a));
    TestBed.run(host.netns(), "ip", "route", "del", "default");
    assertTrue(refusal(host.openCni()).contains("no default route on the host"));
    requireNothingLeft();
  }

  @Test
  void linkInContainerWorksWithoutIpam() throws Exception {
    TestBed.run(a, "ip", "link", "add", "base0", "type", "ifb");
    TestBed.run(a, "ip", "link", "set", "base0", "up");
    host.network(
        "n", "1.1.0", "{\"type\":\"macvlan\",\"master\":\"base0\",\"linkInContainer\":true}");
    Cni cni = host.openCni();
    Result result = cni.network("n").add(attachment(a));
    assertTrue(result.ips().isEmpty());
    String link = TestBed.run(a, "ip", "link", "show", "eth0");
    assertTrue(link.contains("eth0@base0") && link.contains(",UP"), link);
    cni.network("n").check(attachment(a));
    cni.network("n").delete(attachment(a));
    requireNothingLeft();
  }

  @Test
  void invalidConfigurationIsRejectedAndLeavesNothing() throws Exception {
    network("\"master\": \"up7\",");
    assertTrue(refusal(host.openCni()).contains("its interfaces are up0"), refusal(host.openCni()));
    CniException e = assertThrows(CniException.class, () -> host.openCni().network("n").status());
    assertEquals(ErrorCode.NOT_AVAILABLE.value(), e.code());
    network("\"master\": \"up0\", \"mode\": \"bridg\",");
    assertTrue(refusal(host.openCni()).contains("is none of bridge, passthru, private, vepa"));
    network("\"master\": \"up0\", \"mtu\": 9000,");
    assertTrue(refusal(host.openCni()).contains("mtu 9000 must be between 0 and 1500"));
    network("\"master\": \"up0\", \"mac\": \"c2:11:22:33:44\",");
    assertTrue(refusal(host.openCni()).contains("mac"));
    network("\"master\": \"up0\",");
    TestBed.run(a, "ip", "link", "add", "eth0", "type", "ifb");
    assertTrue(refusal(host.openCni()).contains("eth0 (CNI_IFNAME) exists already"));
    host.openCni().network("n").delete(attachment(a));
    assertEquals(
        "eth0", String.join(" ", TestBed.linkNames(a, "ifb")), "an unrelated interface is kept");
    requireNothingLeft();
  }

  @Test
  void requestedMacIsApplied() throws Exception {
    String configured = "c2:11:22:33:44:55";
    network(
        "\"master\": \"up0\", \"capabilities\": {\"mac\": true}, \"mac\": \"%s\","
            .formatted(configured));
    Result result = host.openCni().network("n").add(attachment(a));
    assertEquals(configured, result.interfaces().getFirst().mac());
    host.openCni().network("n").delete(attachment(a));
    var asked = attachment(a, "mac", "\"c2:11:22:33:44:66\"");
    result = host.openCni().network("n").add(asked);
    assertEquals("c2:11:22:33:44:66", result.interfaces().getFirst().mac());
    host.openCni().network("n").check(asked);
    host.openCni().network("n").delete(asked);
  }

  @ParameterizedTest
  @CsvSource({"true,false", "false,true"})
  void interoperatesWithReference(boolean referenceAdds, boolean referenceDeletes)
      throws Exception {
    network("\"master\": \"up0\", \"mode\": \"bridge\",");
    Cni reference = withReference();
    Cni adds = referenceAdds ? reference : host.openCni();
    Cni deletes = referenceDeletes ? reference : host.openCni();
    Result result = adds.network("n").add(attachment(a));
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V6));
    assertEquals(1, result.interfaces().size());
    reference.network("n").check(attachment(a));
    host.openCni().network("n").check(attachment(a));
    deletes.network("n").delete(attachment(a));
    deletes.network("n").delete(attachment(a));
    requireNothingLeft();
    assertFalse(Probe.ping(a, TestHost.OUTSIDE_V4));
  }

  private Cni withReference() {
    return host.withReference("macvlan", "host-local");
  }

  /**
   * A late DEL must not delete the interface of the next container at the same path. It fails,
   * because the container itself could have written the alias that says so.
   */
  @Test
  void lateDeleteKeepsNextContainerAtSamePath() throws Exception {
    network("\"master\": \"up0\",");
    Cni cni = host.openCni();
    cni.network("n").add(attachment(a));
    host.recreate(a);
    var next = Attachment.of("next", a.path(), "eth0");
    cni.network("n").add(next);
    CniException e = assertThrows(CniException.class, () -> cni.network("n").delete(attachment(a)));
    assertEquals(999, e.code(), e::getMessage);
    try (NetNs again = NetNs.open(a.path())) {
      assertTrue(TestBed.run(again, "ip", "link", "show", "eth0").contains(",UP"));
      cni.network("n").check(next);
      cni.network("n").delete(next);
      assertEquals("", TestBed.run(again, "ip", "link", "show", "type", "macvlan"));
      cni.network("n").delete(attachment(a));
    }
  }

  @Test
  void staticIpamResultMatchesReference() throws Exception {
    host.network(
        "n",
        "1.1.0",
        """
        { "type": "macvlan", "master": "up0", "ipam": { "type": "static",
            "addresses": [ { "address": "192.0.2.10/24", "gateway": "192.0.2.2" },
                           { "address": "2001:db8::10/64", "gateway": "2001:db8::2" } ],
            "routes": [ { "dst": "198.51.100.0/24" },
                        { "dst": "2001:db8:1::/48", "gw": "2001:db8::3", "mtu": 1300 } ],
            "dns": { "nameservers": ["192.0.2.3"], "search": ["example.org"] } } }
        """);
    Cni reference = host.withReference("static");
    Result ourResult = host.openCni().network("n").add(attachment(a));
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4) && Probe.ping(a, TestHost.OUTSIDE_V6));
    reference.network("n").check(attachment(a));
    reference.network("n").delete(attachment(a));
    Result referenceResult = reference.network("n").add(attachment(a));
    host.openCni().network("n").check(attachment(a));
    host.openCni().network("n").delete(attachment(a));
    assertEquals(referenceResult.ips(), ourResult.ips());
    assertEquals(referenceResult.routes(), ourResult.routes());
    assertEquals(referenceResult.dns(), ourResult.dns());
  }
}
