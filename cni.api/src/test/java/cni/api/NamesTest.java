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
  void identifiers(String name) throws CniException {
    assertEquals(name, Names.network(name));
    assertEquals(name, Names.container(name));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "../x", ".", "-a", "_a", "a/b", "a b", "a\n", "\u00e9", "a\0"})
  void notIdentifiers(String name) {
    assertEquals(7, assertThrows(CniException.class, () -> Names.network(name)).code());
    CniException e = assertThrows(CniException.class, () -> Names.container(name));
    assertEquals(4, e.code());
    assertTrue(e.getMessage().contains("CNI_CONTAINERID"), e::getMessage);
    assertTrue(e.getMessage().chars().noneMatch(Character::isISOControl), e::getMessage);
  }

  @ParameterizedTest
  @ValueSource(strings = {"eth0", "a", "br-1.5", "fifteen-bytes-x"})
  void interfaces(String name) throws CniException {
    assertEquals(name, Names.networkInterface(name));
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
  void notInterfaces(String name) {
    CniException e = assertThrows(CniException.class, () -> Names.networkInterface(name));
    assertEquals(4, e.code());
    assertTrue(e.getMessage().contains("CNI_IFNAME"), e::getMessage);
  }

  @Test
  void aNameLongerThanAFileNameIsRefused() throws CniException {
    Names.network("a".repeat(255));
    assertThrows(CniException.class, () -> Names.network("a".repeat(256)));
  }
}
