// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.sbr;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The sbr plugin: routes of packets, and rules and routes compared with those of the reference
 * plugin.
 */
@KernelTest(reference = true)
class SbrTest {
  private final TestHost host;
  private final NetNs a;

  SbrTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    host.outside();
  }

  private Cni cni(String... executables) {
    return host.withReference(executables);
  }

  private void network(String options) throws IOException {
    host.network(
        "m",
        "1.1.0",
        TestHost.DUAL_STACK
            .formatted("\"ipMasq\": true, \"mac\": \"02:00:00:00:00:99\",")
            .replace("br0", "br1")
            .replace("0.50.", "0.51.")
            .replace("fd50", "fd51"),
        "{ \"type\": \"sbr\"" + options + " }");
  }

  private Attachment secondAttachment() {
    var id = new AttachmentId(attachment(a).containerId(), "eth1");
    return new Attachment(id, Optional.of(a.path()), Map.of(), Map.of());
  }

  @Test
  void trafficLeavesByTheInterfaceOfItsSourceAddress() throws Exception {
    host.dualStack("n", "");
    network("");
    cni().network("n").add(attachment(a));
    cni().network("m").add(secondAttachment());
    for (String family : new String[] {"-4", "-6"}) {
      boolean v4 = family.equals("-4");
      String to = v4 ? TestHost.OUTSIDE_V4 : TestHost.OUTSIDE_V6;
      String first = v4 ? "10.50.0.2" : "fd50::2";
      String other = v4 ? "10.51.0.2" : "fd51::2";
      assertTrue(routeFrom(family, to, first).contains("dev eth0"), routeFrom(family, to, first));
      assertTrue(routeFrom(family, to, other).contains("dev eth1"), routeFrom(family, to, other));
      TestBed.run(a, "ping", "-n", "-c1", "-W2", "-I", other, to);
    }
    cni().network("m").check(secondAttachment());
    TestBed.run(a, "ip", "rule", "del", "from", "10.51.0.2");
    CniException e =
        assertThrows(CniException.class, () -> cni().network("m").check(secondAttachment()));
    assertTrue(String.valueOf(e.getMessage()).contains("10.51.0.2"), e::getMessage);
    cni().network("m").delete(secondAttachment());
    cni().network("m").delete(secondAttachment());
    assertFalse(rules().contains("51"), rules());
    cni().network("n").check(attachment(a));
  }

  private String routeFrom(String family, String to, String from) throws IOException {
    return TestBed.run(a, "ip", family, "route", "get", to, "from", from);
  }

  private String rules() throws IOException {
    return TestBed.run(a, "ip", "-4", "rule") + TestBed.run(a, "ip", "-6", "rule");
  }

  /** Returns the container's rules and routes as printed by ip. */
  private String state() throws IOException {
    return rules()
        + TestBed.run(a, "ip", "-4", "route", "show", "table", "all")
        + TestBed.run(a, "ip", "-6", "route", "show", "table", "all")
            .lines()
            .filter(line -> !line.contains("fe80") && !line.contains("ff00"))
            .sorted()
            .toList();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "|",
        ", \"table\": 77|",
        ", \"table\": 1000|",
        ", \"gateways\": [\"10.51.0.77\", \"fd51::77\"]|",
      })
  void rulesAndRoutesEqualTheReferencePlugins(String options) throws Exception {
    network(options == null ? "" : options);
    cni("sbr").network("m").add(secondAttachment());
    String theirs = state();
    cni().network("m").check(secondAttachment());
    cni().network("m").delete(secondAttachment());
    assertFalse(rules().contains("51"), rules());
    host.deleteReservations("m");

    cni().network("m").add(secondAttachment());
    assertEquals(theirs, state());
    cni("sbr").network("m").delete(secondAttachment());
    assertFalse(rules().contains("51"), rules());
  }

  @Test
  void addSourceHintsKeepsTheLinkRoutes()
      throws Exception { // an option of reference plugins after 1.9.1
    network(", \"addSourceHints\": true");
    cni().network("m").add(secondAttachment());
    String v4 = TestBed.run(a, "ip", "-4", "route");
    assertTrue(v4.contains("10.51.0.0/24 dev eth1 scope link src 10.51.0.2"), v4);
    String v6 = TestBed.run(a, "ip", "-6", "route");
    assertTrue(v6.contains("fd51::/64 dev eth1 src fd51::2"), v6);
    assertFalse(v4.contains("default") || v6.contains("default"), v4 + v6);
    assertTrue(Probe.ping(a, "10.51.0.1") && Probe.ping(a, "fd51::1"));
    cni().network("m").check(secondAttachment());
  }

  @Test
  void failedAddRemovesItsRules() throws Exception {
    host.script("fails", "[ $CNI_COMMAND = ADD ] || exit 0\necho broken; exit 1");
    network(" }, { \"type\": \"fails\"");
    Cni cni = host.builder().executables(host.executables()).build();
    assertThrows(CniException.class, () -> cni.network("m").add(secondAttachment()));
    assertFalse(rules().contains("51"), rules());
    host.assertNothingLeft("m", a);
  }

  @Test
  void deleteSucceedsAfterTheNamespaceWasDeleted() throws Exception {
    network("");
    cni().network("m").add(secondAttachment());
    host.recreate(a);
    cni().network("m").delete(secondAttachment());
    cni().network("m").delete(secondAttachment().withoutNamespace());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"gateways\": [\"10.0.0.1\", \"10.0.0.2\"]",
        "\"gateways\": [\"x\"]",
        "\"table\": 0",
      })
  void invalidConfigIsRefused(String option) throws Exception {
    network(", " + option);
    CniException e =
        assertThrows(CniException.class, () -> cni().network("m").add(secondAttachment()));
    String key = option.substring(1, option.indexOf('"', 1));
    assertTrue(String.valueOf(e.getMessage()).contains(key), e::getMessage);
    host.assertNothingLeft("m", a);
  }
}
