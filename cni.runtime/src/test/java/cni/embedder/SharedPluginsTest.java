// SPDX-License-Identifier: Apache-2.0
package cni.embedder;

import static cni.embedder.PluginCompiler.sourceOf;
import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.api.Attachment;
import cni.api.CniException;
import cni.runtime.Cni;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Instances that use the plugins of another one. */
class SharedPluginsTest extends PluginDirectoryTestBase {
  private static String addAndDelete(Cni host) throws CniException {
    var attachment = Attachment.of("c", Path.of("/run/netns/none"), "eth0");
    String domain = host.network("n").add(attachment).dns().domain();
    host.network("n").delete(attachment);
    return domain;
  }

  /** A plugin that counts the calls of its instance. */
  @BeforeEach
  void deployCounter() throws Exception {
    network("demo");
    deploy("demo", sourceOf("demo", "return \"call \" + ++calls;", "private int calls;"));
    assertEquals("call 1", addAndDelete(cni));
  }

  @Test
  void instancesAreSharedAndOutliveTheSharer() throws Exception {
    for (int i = 2; i < 5; i++) {
      try (Cni call = builder().oneShot().sharePlugins(cni).build()) {
        assertEquals("call " + i, addAndDelete(call));
      }
    }
    assertEquals("call 5", addAndDelete(cni));
  }

  @Test
  void otherRightsNeedOtherInstances() throws Exception {
    try (Cni call = builder().allowUntrustedPlugins().sharePlugins(cni).build()) {
      assertEquals("call 1", addAndDelete(call));
    }
    assertEquals("call 2", addAndDelete(cni));
  }

  @Test
  void builtInPluginsAreShared() throws Exception {
    try (Cni call = builder().pluginDirectories().sharePlugins(cni).build()) {
      assertEquals(cni.plugins().findInProcess("first"), call.plugins().findInProcess("first"));
    }
  }
}
