package cni.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The text forms are those of Go's net.IP, which become file names. */
class InetAddressesTest {
  @ParameterizedTest
  @CsvSource({
    "10.1.2.3, 10.1.2.3",
    "FD00:0:0:0:0:0:0:1, fd00::1",
    "::, ::",
    "::1, ::1",
    "1:0:0:2:0:0:0:3, 1:0:0:2::3",
    "1:0:2:3:4:5:6:7, 1:0:2:3:4:5:6:7",
    "1:0:0:2:3:0:0:4, 1::2:3:0:0:4",
    "1:2:3:4:5:6:7:0, 1:2:3:4:5:6:7:0",
    "1:2:3:4:5:6:0:0, 1:2:3:4:5:6::",
    "::ffff:10.1.2.3, 10.1.2.3"
  })
  void addressesAreFormattedAsRfc5952Says(String text, String canonical) {
    assertEquals(canonical, InetAddresses.format(InetAddresses.parse(text)));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "10.1",
        "10.1.2.256",
        "010.1.2.3",
        "localhost",
        "fe80::1%eth0",
        "1::2::3",
        "10.1.2.3/24"
      })
  void textThatIsNoAddressIsRefused(String text) {
    assertThrows(IllegalArgumentException.class, () -> InetAddresses.parse(text));
  }

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
