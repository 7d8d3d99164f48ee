package ${package};

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Json;
import cni.api.PluginConfig;
import org.junit.jupiter.api.Test;

/** Unit tests, without the kernel. */
class PluginTest {
  private static PluginConfig config(String moreKeys) throws CniException {
    String text = "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"type\": \"${artifactId}\"" + moreKeys + " }";
    return PluginConfig.of(new ConfigObject(Json.parse(text, "test"), ""));
  }

  @Test
  void aliasIsReadFromTheConfigurationOrDefaults() throws CniException {
    assertEquals("blue", Plugin.alias(config(", \"alias\": \"blue\"")));
    assertTrue(Plugin.alias(config("")).contains("${artifactId}"));
  }

  @Test
  void invalidAliasIsRefusedWithItsKey() throws CniException {
    PluginConfig wrong = config(", \"alias\": 7");
    CniException e = assertThrows(CniException.class, () -> Plugin.alias(wrong));
    assertEquals(7, e.code());
    assertTrue(e.getMessage().contains("alias"), e::getMessage);
    PluginConfig tooLong = config(", \"alias\": \"" + "x".repeat(256) + "\"");
    assertThrows(CniException.class, () -> Plugin.alias(tooLong));
  }
}
