// SPDX-License-Identifier: Apache-2.0
package cni.embedder;

import static cni.embedder.PluginCompiler.sourceAnswering;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import cni.api.CniException;
import cni.runtime.Cni;
import cni.runtime.PluginRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Plugins that another user may replace are not loaded. */
class UntrustedPluginsTest extends PluginDirectoryTestBase {
  /** The user nobody. */
  private static final int OTHER_USER = 65534;

  private Path plugin;
  private Path jar;

  @BeforeEach
  void deploy() throws IOException {
    Path compiled = compiler.compilePlugin("1", sourceAnswering("demo", "one"));
    plugin = Files.createDirectory(root.resolve("demo"));
    try (Stream<Path> files = Files.list(compiled)) {
      jar = files.filter(it -> it.toString().endsWith(".jar")).findFirst().orElseThrow();
    }
    jar = Files.move(jar, plugin.resolve("demo.jar"));
  }

  private static void openToOthers(Path path) throws IOException {
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rwxrwxrwx"));
  }

  private void assertRefused(String reason) {
    CniException e = assertThrows(CniException.class, () -> cni.plugins().find("demo"));
    assertEquals(7, e.code());
    List<String> reasons =
        cni.plugins().disabled().stream().map(PluginRegistry.DisabledPlugin::reason).toList();
    String expected =
        reason
            + ": others could replace the plugin; make it root's, with mode 0755, or allow it:"
            + " allowUntrustedPlugins(), --allow-untrusted-plugins";
    assertTrue(reasons.contains(expected), reasons::toString);
    try (Cni allowing = builder().allowUntrustedPlugins().build()) {
      assertEquals("demo", allowing.plugins().find("demo").type());
    } catch (CniException allowed) {
      throw new AssertionError(allowed);
    }
  }

  @Test
  void pluginOfRootOrTheCallerIsLoaded() throws Exception {
    assertEquals("demo", cni.plugins().find("demo").type());
  }

  @Test
  void moduleThatOthersMayWriteToIsRefused() throws Exception {
    openToOthers(jar);
    assertRefused(jar + " may be written to by others (mode 0777)");
  }

  @Test
  void pluginsDirectoryThatOthersMayWriteToIsRefused() throws Exception {
    openToOthers(plugin);
    assertRefused(plugin + " may be written to by others (mode 0777)");
  }

  @Test
  void pluginIsLoadedOnceItsModesAreCorrected() throws Exception {
    for (Path path : List.of(plugin, jar)) {
      openToOthers(path);
      try (Cni fresh = builder().build()) {
        assertThrows(CniException.class, () -> fresh.plugins().find("demo"));
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rwxr-xr-x"));
        assertEquals("demo", fresh.plugins().find("demo").type());
        String disabled = fresh.plugins().disabled().toString(); // has fakes of other tests
        assertFalse(disabled.contains(root.toString()), disabled);
      }
    }
  }

  @Test
  void directoryOfALoadedPluginThatIsOpenedToOthersIsReported() throws Exception {
    assertEquals("demo", cni.plugins().find("demo").type());
    openToOthers(plugin);
    String disabled = cni.plugins().disabled().toString();
    String expected = plugin + " may be written to by others (mode 0777)";
    assertTrue(disabled.contains(expected) && disabled.contains("remains in use"), disabled);
  }

  @Test
  void directoryAboveThatOthersMayWriteToIsRefused() throws Exception {
    openToOthers(root);
    assertRefused(root + " may be written to by others (mode 0777)");
  }

  @Test
  void moduleOfAnotherUserIsRefused() throws Exception {
    assumeTrue((Integer) Files.getAttribute(Path.of("/proc/self/"), "unix:uid") == 0);
    Files.setAttribute(jar, "unix:uid", OTHER_USER);
    assertRefused(jar + " is owned by user " + OTHER_USER);
  }

  /** Who may write to the link's directory may name any plugin. */
  @Test
  void linksInDirectoriesThatOthersMayWriteToAreRefused() throws Exception {
    Path elsewhere = Files.move(plugin, Files.createDirectory(workshop.resolve("a")).resolve("b"));
    Path shared = Files.createDirectory(workshop.resolve("shared"));
    openToOthers(shared);
    Files.createSymbolicLink(shared.resolve("link"), elsewhere);
    Files.createSymbolicLink(plugin, shared.resolve("link"));
    assertRefused(shared + " may be written to by others (mode 0777)");
    Files.delete(plugin);
    Files.createSymbolicLink(plugin, elsewhere);
    assertEquals("demo", cni.plugins().find("demo").type());
  }
}
