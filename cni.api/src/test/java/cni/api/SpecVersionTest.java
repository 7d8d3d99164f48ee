// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class SpecVersionTest {
  @Test
  void versionsAreOrderedNumerically() {
    List<SpecVersion> mixed = new ArrayList<>();
    for (String text : List.of("1.1.0", "0.10.0", "0.4.0", "0.3.1", "10.0.0", "0.3.0", "1.0.0")) {
      mixed.add(SpecVersion.parse(text));
    }
    Collections.sort(mixed);
    assertEquals("[0.3.0, 0.3.1, 0.4.0, 0.10.0, 1.0.0, 1.1.0, 10.0.0]", mixed.toString());
    assertTrue(SpecVersion.V1_0_0.atLeast(SpecVersion.V1_0_0));
    assertFalse(SpecVersion.V0_3_0.atLeast(SpecVersion.V0_3_1));
  }

  @Test
  void versionsWithEqualNumbersAreEqual() {
    for (SpecVersion version : SpecVersion.ALL) {
      SpecVersion same = SpecVersion.parse(version.toString());
      assertEquals(version, same);
      assertEquals(version.hashCode(), same.hashCode());
      assertTrue(same.isKnown());
    }
    assertEquals(SpecVersion.ALL.size(), Set.copyOf(SpecVersion.ALL).size());
    assertNotEquals(SpecVersion.V0_3_0, SpecVersion.V0_3_1);
    assertNotEquals(new SpecVersion(1, 0, 0), new SpecVersion(0, 1, 0));
    assertFalse(new SpecVersion(1, 2, 0).isKnown());
  }
}
