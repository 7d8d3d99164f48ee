// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.Verb;
import cni.runtime.Cni;
import cni.testing.FakePlugin;
import cni.testing.KernelTest;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is reported of a plugin whose ADD does not work at all. */
@KernelTest
class PreflightTest {
  @TempDir private Path cache;
  private final FakePlugin plugin = FakePlugin.ofType("fake");

  private CniException failure() throws CniException {
    try (Cni cni =
        Cni.builder()
            .plugins(plugin)
            .executables()
            .pluginDirectories()
            .oneShot()
            .cache(cache)
            .build()) {
      var subject = new ModuleUnderTest(plugin, cni.plugins(), Duration.ofSeconds(30));
      var config = SubjectConfig.parse(Json.object().put("type", "fake").put("key", "value"));
      return assertThrows(CniException.class, () -> new Conformance(subject, config).run());
    }
  }

  @Test
  void ownFailureOfThePluginIsNamedAndNotTheConfiguration() throws Exception {
    plugin.failNext(Verb.ADD, new CniException(107, "no luck", "at all", null));
    CniException e = failure();
    assertEquals("ADD of the plugin failed: no luck (code 107)", e.getMessage());
    assertEquals(107, e.code());
    assertEquals("at all", e.details());
  }

  @Test
  void bugIsReportedWithItsStackTrace() throws Exception {
    var cause = new IllegalStateException("oops");
    plugin.failNext(Verb.ADD, new CniException(ErrorCode.INTERNAL, "broken", cause));
    CniException e = failure();
    assertTrue(e.getMessage().startsWith("ADD of the plugin failed: broken"), e::getMessage);
    assertTrue(e.details().contains("at " + PreflightTest.class.getName()), e::details);
  }

  @Test
  void refusedConfigurationIsShownAfterTheReason() throws Exception {
    plugin.failNext(Verb.ADD, new CniException(ErrorCode.INVALID_CONFIG, "key: must be 1"));
    assertEquals(
        "ADD of the plugin failed: key: must be 1 (code 7); give a configuration that works"
            + " (--config) instead of {\"type\":\"fake\",\"key\":\"value\"}",
        failure().getMessage());
  }

  @Test
  void configurationOfTheModuleIsPreferredToABuiltInOne() throws Exception {
    FakePlugin bridge = FakePlugin.ofType("bridge");
    FakePlugin own = FakePlugin.ofType("with-own-config");
    try (Cni cni =
        Cni.builder().plugins(bridge, own).executables().cache(cache).oneShot().build()) {
      SubjectConfig config = SubjectConfig.of("with-own-config", cni.plugins());
      assertEquals(SubjectConfig.Role.CHAINED, config.role());
      assertEquals(SubjectConfig.of("bridge"), SubjectConfig.of("bridge", cni.plugins()));
      CniException e =
          assertThrows(CniException.class, () -> SubjectConfig.of("other", cni.plugins()));
      assertTrue(e.getMessage().contains("META-INF/cni/conformance/other.json"), e::getMessage);
    }
  }
}
