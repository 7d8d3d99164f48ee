// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NamesTest {
  @ParameterizedTest
  @ValueSource(strings = {"a", "0", "my-net_1.2", "A.."})
  void identifiersAreAccepted(String name) throws CniException {
    assertEquals(name, Names.requireNetworkName(name));
    assertEquals(name, Names.requireContainerId(name));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "../x", ".", "-a", "_a", "a/b", "a b", "a\n", "\u00e9", "a\0"})
  void malformedIdentifiersAreRefused(String name) {
    assertEquals(7, assertThrows(CniException.class, () -> Names.requireNetworkName(name)).code());
    CniException e = assertThrows(CniException.class, () -> Names.requireContainerId(name));
    assertEquals(4, e.code());
    assertTrue(e.getMessage().contains("CNI_CONTAINERID"), e::getMessage);
    assertTrue(e.getMessage().chars().noneMatch(Character::isISOControl), e::getMessage);
  }

  @ParameterizedTest
  @ValueSource(strings = {"eth0", "a", "br-1.5", "fifteen-bytes-x"})
  void interfaceNamesAreAccepted(String name) throws CniException {
    assertEquals(name, Names.requireInterfaceName(name));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        ".",
        "..",
        "a/b",
        "a:b",
        "a b",
        "eth%d",
        "a\tb",
        "sixteen-bytes-xx",
        "é-1234567890123"
      })
  void malformedInterfaceNamesAreRefused(String name) {
    CniException e = assertThrows(CniException.class, () -> Names.requireInterfaceName(name));
    assertEquals(4, e.code());
    assertTrue(e.getMessage().contains("CNI_IFNAME"), e::getMessage);
  }

  @Test
  void networkNameLongerThanAFileNameIsRefused() throws CniException {
    Names.requireNetworkName("a".repeat(255));
    assertThrows(CniException.class, () -> Names.requireNetworkName("a".repeat(256)));
  }
}
