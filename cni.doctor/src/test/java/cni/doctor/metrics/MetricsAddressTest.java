// SPDX-License-Identifier: Apache-2.0
package cni.doctor.metrics;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MetricsAddressTest {
  @ParameterizedTest
  @CsvSource({
    "unix:/run/cni/metrics.sock, unix:/run/cni/metrics.sock",
    "unix:/run/../run/m, unix:/run/m",
    "127.0.0.1:9469, http://127.0.0.1:9469",
    "127.1.2.3:0, http://127.1.2.3:0",
    "[::1]:9469, http://[::1]:9469"
  })
  void socketsAndLoopbackAddressesAreAccepted(String text, String expected) throws CniException {
    assertEquals(expected, MetricsAddress.parse(text).toString());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "unix:",
        "unix:relative",
        "",
        "9469",
        "127.0.0.1",
        "127.0.0.1:x",
        "example.org:80"
      })
  void othersAreRefused(String text) {
    var e = assertThrows(CniException.class, () -> MetricsAddress.parse(text));
    assertEquals(4, e.code());
    assertTrue(e.getMessage().startsWith("--metrics \"" + text + "\" must "), e.getMessage());
  }

  @Test
  void addressesThatOtherHostsReachAreRefused() {
    for (String text : new String[] {"0.0.0.0:9469", "[::]:9469", "192.0.2.1:9469"}) {
      var e = assertThrows(CniException.class, () -> MetricsAddress.parse(text));
      assertTrue(e.getMessage().contains("is not a loopback address"), e.getMessage());
    }
  }
}
