// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CniArgsTest {
  @Test
  void pairsAreReadInOrder() throws CniException {
    var args = CniArgs.ofText("IgnoreUnknown=1;IP=10.0.0.1/24;;MAC=;A=b=c");
    assertEquals(List.of("IgnoreUnknown", "IP", "MAC", "A"), List.copyOf(args.toMap().keySet()));
    assertEquals(Optional.of("b=c"), args.get("A"));
    assertEquals(Optional.of(""), args.get("MAC"));
    assertEquals(Optional.empty(), args.get("K"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"none", "=1", "a=b;c", " "})
  void malformedTextIsRefusedWhereItIsRead(String text) throws CniException {
    var args = CniArgs.ofText(text);
    assertFalse(args.isEmpty());
    CniException e = assertThrows(CniException.class, args::toMap);
    assertEquals(4, e.code());
    assertTrue(e.getMessage().contains("CNI_ARGS") && e.getMessage().contains("KEY=VALUE"));
    assertEquals(4, assertThrows(CniException.class, () -> args.get("a")).code());
    assertEquals(text, args.text()); // for executables
    var attachment =
        new Attachment(new AttachmentId("c", "eth0"), Optional.of(Path.of("/x")), args, Map.of());
    assertEquals(4, assertThrows(CniException.class, attachment::requireValid).code());
    assertNotEquals(CniArgs.NONE, args);
  }

  @Test
  void malformedTextEqualsNothingButItself() {
    assertNotEquals(CniArgs.NONE, CniArgs.ofText("null"));
    assertEquals(CniArgs.ofText("null"), CniArgs.ofText("null"));
    assertNotEquals(CniArgs.ofText("none"), CniArgs.ofText("null"));
  }

  @Test
  void textIsMadeOfPairs() throws CniException {
    Map<String, String> pairs = new LinkedHashMap<>();
    pairs.put("IgnoreUnknown", "1");
    pairs.put("IP", "10.0.0.1/24");
    assertEquals("IgnoreUnknown=1;IP=10.0.0.1/24", CniArgs.of(pairs).text());
    assertEquals(CniArgs.of(pairs), CniArgs.ofText("IgnoreUnknown=1;IP=10.0.0.1/24"));
    assertEquals("", CniArgs.NONE.text());
    assertTrue(CniArgs.ofText("").isEmpty());
    for (var wrong : List.of(Map.of("K", "a;b"), Map.of("K=", "v"), Map.of("", "v"))) {
      assertEquals(4, assertThrows(CniException.class, CniArgs.of(wrong)::text).code());
    }
  }
}
