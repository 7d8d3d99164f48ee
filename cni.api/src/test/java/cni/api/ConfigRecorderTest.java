// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

class ConfigRecorderTest {
  private final ConfigRecorder recorder = new ConfigRecorder();

  private ConfigObject view(String json) throws CniException {
    return recorder.view(Json.parse(json, "test"), "p");
  }

  @Test
  void readsAreRecordedAtEveryLevel() throws Exception {
    ConfigObject view = view("{\"a\":{\"b\":1},\"l\":[[{\"c\":2}]],\"m\":{\"x\":1,\"y\":null}}");
    view.object("a").orElseThrow().integer("b", 0, 5);
    view.has("absent");
    view.objectLists("l").getFirst().getFirst().bool("d");
    assertEquals(List.of("x"), view.object("m").orElseThrow().keys());
    assertEquals(Set.of("a", "absent", "l", "m"), recorder.reads("p"));
    assertEquals(Set.of("b"), recorder.reads("p.a"));
    assertEquals(Set.of("d"), recorder.reads("p.l[0][0]"));
    assertTrue(recorder.isReadWhole("p.m"));
    assertFalse(recorder.isReadWhole("p.a"));
  }

  @Test
  void hiddenValuesAreAbsent() throws Exception {
    ConfigObject view =
        view("{\"a\":1,\"l\":[\"x\",\"y\"],\"ll\":[[{}],[{\"k\":1}]],\"m\":{\"b\":1}}");
    assertTrue(recorder.hide("p.a"));
    assertFalse(recorder.hide("p.a"));
    recorder.hide("p.l[0]");
    recorder.hide("p.ll[0][0]");
    recorder.hide("p.m.b");
    assertFalse(view.has("a"));
    assertEquals(List.of("y"), view.texts("l"));
    assertEquals("p.ll[1][0].k", view.objectLists("ll").getFirst().getFirst().path("k"));
    assertEquals(List.of(), view.object("m").orElseThrow().keys());
    assertTrue(recorder.hidesInside("p.ll[0]"));
    assertFalse(recorder.hidesInside("p.ll[1]"));
  }

  @Test
  void errorsHaveTheKeyAsTheConfigurationSpellsIt() throws Exception {
    ConfigObject view = view("{\"MTU\":\"x\",\"name\":\"a\",\"name\":\"b\"}");
    CniException e = assertThrows(CniException.class, () -> view.integer("mtu", 0, 5));
    assertEquals(
        Optional.of(new ConfigFault("p.MTU", "\"x\"", "must be a whole number, not a string")),
        e.fault());
    assertEquals(e.fault(), e.withContext("context").fault());
    CniException repeated = assertThrows(CniException.class, () -> view.text("name"));
    assertEquals("p.name", repeated.fault().orElseThrow().key());
  }

  @Test
  void warningsAndIgnoredKeysAreOnlyRecordedHere() throws Exception {
    ConfigObject view = view("{\"a\":1}");
    view.warn("a", "is odd");
    view.warn("a", "is odd");
    view.ignore("other");
    assertEquals(List.of(new ConfigFault("p.a", "1", "is odd")), recorder.warnings());
    assertEquals(Set.of("other"), recorder.reads("p"));
    new ConfigObject(view.content(), "").warn("a", "is odd"); // does nothing
  }

  /** Requests that plugins serve must not pay for the recording. */
  @Test
  void requestsHavePlainViews() throws Exception {
    byte[] text =
        "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"t\",\"ipam\":{}}]}"
            .getBytes(StandardCharsets.UTF_8);
    PluginConfig plugin = NetworkConfig.parse(text, "test").plugins().getFirst();
    PluginConfig request = plugin.forRequest("n", SpecVersion.CURRENT, Map.of());
    assertSame(ConfigObject.class, plugin.view().getClass());
    assertSame(ConfigObject.class, request.view().getClass());
    assertSame(ConfigObject.class, request.view().object("ipam").orElseThrow().getClass());
  }
}
