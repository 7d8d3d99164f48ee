// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What is found when something runs out. */
@KernelTest(commands = "ip")
class CapacityExaminationsTest {
  private static ExaminedHost smallNetwork(TestHost host, String last) throws Exception {
    host.network(
        "n",
        "1.0.0",
        """
        { "type": "bridge", "bridge": "br0", "ipam": { "type": "host-local", "dataDir": "@DATA@",
          "subnet": "10.50.0.0/24", "rangeEnd": "%s" } }
        """
            .formatted(last));
    return new ExaminedHost(host);
  }

  @Test
  void rangeIsExhausted(TestHost host) throws Exception {
    try (var examined = smallNetwork(host, "10.50.0.3")) {
      examined.add("n", host.container("a"));
      examined.assertHealthy();

      examined.add("n", host.container("b"));
      Finding found =
          examined.assertOnly(
              FindingKind.RANGE_EXHAUSTED, "2 of 2 addresses of 10.50.0.0/24", "cni gc n");
      assertEquals("the addresses are exhausted: ADD fails", found.description());
    }
  }

  @Test
  void rangeIsNearlyExhausted(TestHost host) throws Exception {
    try (var examined = smallNetwork(host, "10.50.0.11")) {
      for (int i = 0; i < 9; i++) {
        examined.add("n", host.container("c" + i));
      }
      examined.assertOnly(FindingKind.RANGE_NEARLY_EXHAUSTED, "9 of 10 addresses", "add a range");
    }
  }

  @Test
  void connectionTableIsNearlyFull(TestHost host) throws Exception {
    host.dualStack("n", "");
    try (var examined = new ExaminedHost(host)) {
      examined.fakeProc("sys/net/netfilter/nf_conntrack_max", "1000\n");
      examined.fakeProc("sys/net/netfilter/nf_conntrack_count", "899\n");
      examined.assertHealthy();

      examined.fakeProc("sys/net/netfilter/nf_conntrack_count", "900\n");
      examined.assertOnly(
          FindingKind.CONNTRACK_FULL, "nf_conntrack_count = 900", "nf_conntrack_max=2000");
    }
  }

  @Test
  void neighbourTableIsNearlyFull(TestHost host) throws Exception {
    host.dualStack("n", "");
    try (var examined = new ExaminedHost(host)) {
      examined.run("ip link add lan0 up type bridge");
      examined.run("ip addr add 192.0.2.1/24 dev lan0");
      for (int i = 2; i < 11; i++) {
        examined.run("ip neigh add 192.0.2." + i + " lladdr 02:00:00:00:00:01 nud stale dev lan0");
      }
      examined.fakeProc("sys/net/ipv4/neigh/default/gc_thresh3", "10\n");

      examined.assertOnly(
          FindingKind.NEIGHBOURS_FULL,
          "9 neighbours, net.ipv4.neigh.default.gc_thresh3 = 10",
          "net.ipv4.neigh.default.gc_thresh3=20");
    }
  }

  @Test
  void whatCannotBeReadIsReported(TestHost host) throws Exception {
    host.dualStack("n", "");
    try (var examined = new ExaminedHost(host)) {
      examined.fakeProc("sys/net/netfilter/nf_conntrack_max/directory", "");
      examined.fakeProc("sys/net/netfilter/nf_conntrack_count", "900\n");

      Diagnosis diagnosis = examined.examine();
      assertEquals(List.of(), diagnosis.findings());
      assertEquals(
          List.of(FindingKind.CONNTRACK_FULL),
          diagnosis.omitted().stream().map(Diagnosis.Omitted::kind).toList());
      assertEquals(FindingKind.values().length - 1, diagnosis.examinations());
    }
  }
}
