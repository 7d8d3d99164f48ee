package ${package};

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Json;
import cni.api.PluginConfig;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Unit tests, without the kernel. */
class PluginTest {
  private static PluginConfig config(String moreKeys) throws CniException {
    String text = "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"type\": \"${artifactId}\"" + moreKeys + " }";
    return PluginConfig.of(new ConfigObject(Json.parse(text, "test"), ""));
  }

  @Test
  void mtuIsReadFromTheConfigurationOrTheKernels() throws CniException {
    assertEquals(1400, Plugin.mtu(config(", \"mtu\": 1400")));
    assertEquals(0, Plugin.mtu(config("")));
  }

  @Test
  void invalidMtuIsRefusedWithItsKey() throws CniException {
    for (PluginConfig wrong : List.of(config(", \"mtu\": 67"), config(", \"mtu\": \"x\""))) {
      CniException e = assertThrows(CniException.class, () -> Plugin.mtu(wrong));
      assertEquals(7, e.code());
      assertTrue(e.getMessage().contains("mtu"), e::getMessage);
    }
  }
}
