// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.sbr;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The sbr plugin after each interface plugin that leaves other routes in the main table. */
@KernelTest(reference = true)
class SbrChainTest {
  private static final List<String> OF_B = List.of("10.29.0.3", "fd29::3");
  private static final List<String> OF_A = List.of("10.29.0.2", "fd29::2");

  private final TestHost host;
  private final NetNs a;
  private final NetNs b;

  SbrChainTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
    host.outside();
  }

  private void network(String plugin) throws IOException {
    host.network(
        "n",
        "1.1.0",
        """
        { %s, "ipam": { "type": "host-local", "dataDir": "@DATA@",
            "ranges": [[{ "subnet": "10.29.0.0/24" }], [{ "subnet": "fd29::/64" }]],
            "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }] } }
        """
            .formatted(plugin),
        "{ \"type\": \"sbr\" }");
  }

  /** Requires that a reaches b, also from the address that the rules of sbr select. */
  private void requireTraffic() throws Exception {
    TestHost.awaitAddresses(a);
    TestHost.awaitAddresses(b);
    for (int i = 0; i < OF_A.size(); i++) {
      TestBed.run(a, "ping", "-n", "-c1", "-w3", "-I", OF_A.get(i), OF_B.get(i));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"type\": \"ptp\"",
        "\"type\": \"bridge\", \"bridge\": \"br0\", \"isGateway\": true",
        "\"type\": \"bridge\", \"bridge\": \"br0\"",
        "\"type\": \"macvlan\", \"master\": \"up0\"",
      })
  void aNewAttachmentNeedsNoRepair(String plugin) throws Exception {
    network(plugin);
    try (Cni cni = host.openCni()) {
      for (NetNs container : List.of(a, b)) {
        cni.network("n").add(attachment(container));
      }
      requireTraffic();
      HostSnapshot before = HostSnapshot.of(a);
      for (NetNs container : List.of(a, b)) {
        cni.network("n").check(attachment(container));
        assertEquals(List.of(), cni.network("n").repair(attachment(container).id()).steps());
      }
      HostSnapshot.of(a).requireEqual(before);
      requireTraffic();
      cni.network("n").delete(attachment(a));
      assertFalse(TestBed.run(a, "ip", "rule").contains("10.29"));
    }
  }

  @Test
  void theTablesOfTheReferencePluginAreAccepted() throws Exception {
    network("\"type\": \"ptp\"");
    try (Cni cni = host.withReference("ptp", "sbr")) {
      cni.network("n").add(attachment(a));
    }
    try (Cni cni = host.openCni()) {
      cni.network("n").check(attachment(a));
      cni.network("n").delete(attachment(a));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "ip route del 10.29.0.0/24 table 100",
    "ip route del 10.29.0.1 table 100",
    "ip route replace 10.29.0.0/24 dev eth0 table 100",
    "ip route flush table 100",
    "ip -6 route flush table 101",
    "ip -6 route del fd29::/64 table 101",
    "ip rule del from 10.29.0.2",
  })
  void damageBehindPtpIsRepaired(String damage) throws Exception {
    network("\"type\": \"ptp\"");
    try (Cni cni = host.openCni()) {
      for (NetNs container : List.of(a, b)) {
        cni.network("n").add(attachment(container));
      }
      HostSnapshot before = HostSnapshot.of(a);
      TestBed.run(a, damage.split(" ", -1));
      assertFalse(cni.network("n").repair(attachment(a).id()).steps().isEmpty());
      cni.network("n").check(attachment(a));
      requireTraffic();
      HostSnapshot.of(a).requireEqual(before);
      assertTrue(cni.network("n").repair(attachment(a).id()).steps().isEmpty());
    }
  }
}
