// SPDX-License-Identifier: Apache-2.0
package cni.embedder;

import static cni.embedder.PluginCompiler.sourceOf;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import cni.api.Attachment;
import cni.api.NetworkPlugin;
import cni.runtime.Cni;
import java.lang.module.Configuration;
import java.lang.module.ModuleFinder;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Third-party plugins are isolated even if their module and package are named as this project's
 * own.
 */
class PluginIsolationTest extends PluginDirectoryTestBase {
  /** Also a module of this project, which is not in this program. */
  private static final String CLAIMED = "cni.plugins.bridge";

  /** A directory with the jar of the plugin, whose ADD returns the name of its thread. */
  private Path jarDirectory;

  @BeforeEach
  void compileClaimant() throws Exception {
    network("claimant");
    jarDirectory = Files.createTempDirectory(workshop, "claimant");
    String source =
        sourceOf("claimant", "return Thread.currentThread().getName();", "")
            .replace("package demo;", "package " + CLAIMED + ";");
    String module = PluginCompiler.MODULE.replace("demo", CLAIMED);
    compiler.compileJar(jarDirectory, "1", Map.of("module-info.java", module, "Demo.java", source));
  }

  private static void assertIsolated(Cni host) throws Exception {
    var attachment = Attachment.of("c", Path.of("/run/netns/none"), "eth0");
    String thread = host.network("n").add(attachment).dns().domain();
    assertEquals("cni claimant ADD", thread);
  }

  @Test
  void jarInAPluginDirectoryIsIsolatedWhateverItsNames() throws Exception {
    PluginCompiler.deploy(jarDirectory, root.resolve("claimant"));
    assertIsolated(cni);
  }

  @Test
  void jarOfAnotherClassLoaderIsIsolatedWhateverItsNames() throws Exception {
    Path services = Files.createTempDirectory(workshop, "services");
    Files.createDirectories(services.resolve("META-INF/services"));
    Files.writeString(
        services.resolve("META-INF/services/" + NetworkPlugin.class.getName()), CLAIMED + ".Demo");
    URL[] urls = {jarDirectory.resolve("1.jar").toUri().toURL(), services.toUri().toURL()};
    try (var loader = new URLClassLoader(urls, Cni.class.getClassLoader());
        Cni host =
            builder().pluginLoader(ServiceLoader.load(NetworkPlugin.class, loader)).build()) {
      assertIsolated(host);
    }
  }

  @Test
  void moduleOfAnotherLayerIsIsolatedWhateverItsNames() throws Exception {
    assumeTrue(NetworkPlugin.class.getModule().isNamed(), "a layer needs cni.api to be a module");
    Configuration configuration =
        ModuleLayer.boot()
            .configuration()
            .resolve(ModuleFinder.of(jarDirectory), ModuleFinder.of(), Set.of(CLAIMED));
    ModuleLayer layer =
        ModuleLayer.boot().defineModulesWithOneLoader(configuration, Cni.class.getClassLoader());
    try (Cni host =
        builder().pluginLoader(ServiceLoader.load(layer, NetworkPlugin.class)).build()) {
      assertIsolated(host);
    }
  }
}
