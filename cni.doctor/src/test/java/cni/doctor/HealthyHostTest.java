// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.util.EnumSet;
import java.util.List;
import org.junit.jupiter.api.Test;

/** On a host in order nothing is found. */
@KernelTest(commands = "ip")
class HealthyHostTest {
  @Test
  void everyKindIsLookedForOnceInTheOrderOfWeight() {
    assertEquals(List.copyOf(EnumSet.allOf(FindingKind.class)), Doctor.kinds());
  }

  @Test
  void nothingIsFoundWithAFullChain(TestHost host) throws Exception {
    host.outside();
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted("\"ipMasq\": true,"),
        """
        { "type": "portmap", "capabilities": { "portMappings": true } }
        """,
        """
        { "type": "firewall" }
        """,
        """
        { "type": "tuning", "sysctl": { "net.core.somaxconn": "500" } }
        """);
    NetNs a = host.container("a");
    try (var examined = new ExaminedHost(host)) {
      examined.run("ip route add default via " + TestHost.OUTSIDE_V4);
      examined.publish("n", a, 8080, 80, "tcp");
      examined.add("n", host.container("b"));

      examined.assertHealthy();

      examined.cni().network("n").delete(TestHost.attachment(a));
      examined.assertHealthy();
    }
  }

  @Test
  void nothingIsFoundWithPtpAndMacvlan(TestHost host) throws Exception {
    host.outside();
    host.network(
        "p",
        "1.1.0",
        """
        { "type": "ptp", "ipMasq": false, "ipam": { "type": "host-local", "dataDir": "@DATA@",
          "ranges": [[{ "subnet": "10.60.0.0/24" }], [{ "subnet": "fd60::/64" }]] } }
        """);
    host.network(
        "m",
        "1.1.0",
        """
        { "type": "macvlan", "master": "up0", "ipam": { "type": "host-local", "dataDir": "@DATA@",
          "subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100" } }
        """);
    try (var examined = new ExaminedHost(host)) {
      examined.add("p", host.container("a"));
      examined.add("m", host.container("b"));

      examined.assertHealthy();
    }
  }
}
