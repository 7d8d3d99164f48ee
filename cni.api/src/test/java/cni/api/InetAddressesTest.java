// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Tests that addresses have the text form of Go's net.IP, which the Go plugins use as file names.
 */
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
}
