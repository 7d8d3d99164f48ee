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
    String ipam = "\"ipam\": { \"type\": \"${artifactId}\"" + moreKeys + " }";
    String text = "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"type\": \"bridge\", " + ipam + " }";
    return PluginConfig.of(new ConfigObject(Json.parse(text, "test"), ""));
  }

  @Test
  void addressIsReadFromTheConfiguration() throws CniException {
    PluginConfig config = config(", \"address\": \"10.9.0.2/24\", \"gateway\": \"10.9.0.1\"");
    assertEquals("10.9.0.2/24", Plugin.address(config).address().toString());
    assertEquals("10.9.0.1", Plugin.address(config).gateway().orElseThrow().getHostAddress());
  }

  @Test
  void missingOrInvalidAddressIsRefusedWithItsKey() throws CniException {
    for (PluginConfig wrong : new PluginConfig[] {config(""), config(", \"address\": \"x\"")}) {
      CniException e = assertThrows(CniException.class, () -> Plugin.address(wrong));
      assertEquals(7, e.code());
      assertTrue(e.getMessage().contains("address"), e::getMessage);
    }
  }
}
