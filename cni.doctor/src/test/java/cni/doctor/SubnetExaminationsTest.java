// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What is found when subnets are used twice. */
@KernelTest(commands = "ip")
class SubnetExaminationsTest {
  private static final String OTHER =
      """
      { "type": "bridge", "bridge": "%s", "isGateway": true,
        "ipam": { "type": "host-local", "dataDir": "@DATA@", "subnet": "%s" } }
      """;

  @Test
  void networksOverlap(TestHost host) throws Exception {
    host.dualStack("n", "");
    host.network("m", "1.0.0", OTHER.formatted("br1", "10.50.0.128/25"));
    try (var examined = new ExaminedHost(host)) {
      Finding found =
          examined.assertOnly(
              FindingKind.SUBNET_OVERLAP,
              "10.50.0.128/25 of m and 10.50.0.0/24 of n overlap",
              "another subnet");
      assertEquals(List.of("m", "n"), found.networks());
    }
  }

  @Test
  void networksOfOneBridgeMayShareASubnet(TestHost host) throws Exception {
    String part = "10.60.0.0/24\", \"rangeStart\": \"10.60.0.%d\", \"rangeEnd\": \"10.60.0.%d";
    host.network("n", "1.0.0", OTHER.formatted("br0", part.formatted(2, 99)));
    host.network("m", "1.0.0", OTHER.formatted("br0", part.formatted(100, 200)));
    try (var examined = new ExaminedHost(host)) {
      examined.assertHealthy();
    }
  }

  @Test
  void networksOfOneBridgeGiveAwayTheSameAddresses(TestHost host) throws Exception {
    host.dualStack("n", "");
    host.network("m", "1.0.0", OTHER.formatted("br0", "10.50.0.128/25"));
    try (var examined = new ExaminedHost(host)) {
      examined.assertOnly(
          FindingKind.SUBNET_OVERLAP,
          "10.50.0.129-10.50.0.254 of m and 10.50.0.1-10.50.0.254 of n overlap",
          "give network n a bridge and a subnet of its own in " + host.networks());
    }
  }

  @Test
  void hostHasTheSubnetOnAnotherLink(TestHost host) throws Exception {
    try (var examined = ExaminedHost.withAttachment(host)) {
      examined.run("ip link add lan0 up type bridge");
      examined.run("ip addr add 10.50.0.200/16 dev lan0");
      Finding found =
          examined.assertOnly(
              FindingKind.HOST_SUBNET_OVERLAP, "10.50.0.0/16 dev lan0", "subnet that is free");
      assertEquals(List.of("n"), found.networks());
    }
  }

  @Test
  void lessSpecificRouteThroughARouterIsNoOverlap(TestHost host) throws Exception {
    host.outside();
    try (var examined = ExaminedHost.withAttachment(host)) {
      examined.run("ip route add 10.0.0.0/8 via " + TestHost.OUTSIDE_V4);
      examined.assertHealthy();
    }
  }
}
