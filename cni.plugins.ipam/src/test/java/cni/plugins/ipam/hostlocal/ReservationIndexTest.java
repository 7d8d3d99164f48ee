// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.InetAddresses;
import cni.plugins.ipam.range.AddressKey;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The index compared with a plain map, and address arithmetic. */
class ReservationIndexTest {
  @Test
  void indexHasTheContentOfAMapAfterRandomOperations() {
    var random = new Random(1);
    var index = new ReservationIndex();
    Map<AddressKey, Long> map = new HashMap<>();
    for (int i = 0; i < 200_000; i++) {
      var key = new AddressKey(random.nextInt(3) - 1, random.nextInt(3000) - 100);
      if (random.nextInt(3) == 0) {
        index.remove(key);
        map.remove(key);
      } else {
        long holder = random.nextInt(500);
        index.put(key, holder);
        map.put(key, holder);
      }
    }
    assertEquals(map.size(), index.size());
    assertEquals(map.keySet(), new HashSet<>(index.addresses()));
    for (long holder = 0; holder < 500; holder++) {
      Set<AddressKey> expected = new HashSet<>();
      for (Map.Entry<AddressKey, Long> entry : map.entrySet()) {
        if (entry.getValue() == holder) {
          expected.add(entry.getKey());
        }
      }
      assertEquals(expected, new HashSet<>(index.heldBy(holder)));
    }
    map.keySet().forEach(index::remove);
    assertEquals(0, index.size());
    assertFalse(index.contains(new AddressKey(0, 1)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"0.0.0.0", "10.1.2.255", "255.255.255.255", "::", "fd00::ff", "ffff::"})
  void addressRoundTripsThroughKey(String text) {
    AddressKey key = AddressKey.of(InetAddresses.parse(text));
    assertEquals(InetAddresses.parse(text), key.toAddress());
    assertTrue(key.compareTo(key.next()) < 0);
  }

  @Test
  void nextAddressAfterAFullByteOrHalfCarries() {
    assertEquals(
        "10.2.0.0",
        InetAddresses.format(
            AddressKey.of(InetAddresses.parse("10.1.255.255")).next().toAddress()));
    AddressKey last = AddressKey.of(InetAddresses.parse("fd00::ffff:ffff:ffff:ffff"));
    assertEquals("fd00:0:0:1::", InetAddresses.format(last.next().toAddress()));
  }
}
