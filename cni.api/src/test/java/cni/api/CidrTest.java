// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class CidrTest {
  @Test
  void networkAndRangeFollowFromThePrefix() {
    Cidr cidr = Cidr.parse("10.1.2.3/20");
    assertEquals("10.1.0.0/20", cidr.network().toString());
    assertEquals("10.1.15.255", InetAddresses.format(cidr.lastAddress()));
    assertTrue(cidr.contains(InetAddresses.parse("10.1.15.1")));
    assertFalse(cidr.contains(InetAddresses.parse("10.1.16.0")));
    assertFalse(cidr.contains(InetAddresses.parse("fd00::1")));
    assertEquals(
        "ffff:ffff:ffff:ffff::/64", Cidr.parse("ffff:ffff:ffff:ffff::9/64").network().toString());
    assertEquals("0.0.0.0/0", Cidr.defaultRoute(InetAddresses.parse("1.2.3.4")).toString());
    assertEquals("10.0.0.1/24", Cidr.parse("::ffff:10.0.0.1/120").toString());
    assertEquals("10.0.0.0/8", Cidr.parse("10.0.0.0/08").toString());
    assertEquals("10.0.0.1/32", Cidr.ofHost(InetAddresses.parse("10.0.0.1")).toString());
    assertEquals("fd00::1/128", Cidr.ofHost(InetAddresses.parse("fd00::1")).toString());
    assertEquals("::/0", Cidr.defaultRoute(InetAddresses.parse("::1")).toString());
    for (String wrong :
        new String[] {
          "10.0.0.0", "10.0.0.0/33", "::/129", "/8", "::ffff:10.0.0.0/95", "10.0.0.0/-1"
        }) {
      assertThrows(IllegalArgumentException.class, () -> Cidr.parse(wrong), wrong);
    }
  }

  @Test
  void networksAreEqualByAddressAndPrefix() {
    Cidr net = Cidr.parse("10.1.0.5/16");
    assertEquals(net, Cidr.parse("10.1.0.5/16"));
    assertEquals(net.hashCode(), Cidr.parse("10.1.0.5/16").hashCode());
    assertNotEquals(net, Cidr.parse("10.1.0.5/24"));
    assertNotEquals(net, Cidr.parse("10.1.0.6/16"));
    assertEquals(Cidr.parse("fd00::1/64"), Cidr.parse("fd00:0::0:1/64"));
  }
}
