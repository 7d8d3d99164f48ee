// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class PluginTrustTest {
  private static final Pattern EXPORT = Pattern.compile("exports cni\\.api\\.internal to([^;]*);");

  /** Otherwise a plugin of this project would be isolated on the module path, and slower. */
  @Test
  void cniApiExportsItsInternalsToEveryPluginModuleOfThisProject() throws IOException {
    Set<String> trusted = new TreeSet<>();
    Matcher export = EXPORT.matcher(descriptor(Path.of("../cni.api")));
    assertTrue(export.find());
    for (String name : export.group(1).split(",", -1)) {
      trusted.add(name.strip());
    }
    Set<String> missing = new TreeSet<>();
    try (DirectoryStream<Path> modules = Files.newDirectoryStream(Path.of(".."), "cni.*")) {
      for (Path module : modules) {
        if (descriptor(module).contains("provides cni.api.NetworkPlugin")) {
          missing.add(module.getFileName().toString());
        }
      }
    }
    assertFalse(missing.isEmpty());
    missing.removeAll(trusted);
    assertEquals(List.of(), List.copyOf(missing));
  }

  private static String descriptor(Path module) throws IOException {
    Path file = module.resolve("src/main/java/module-info.java");
    return Files.exists(file) ? Files.readString(file) : "";
  }

  @Test
  void pluginOfTheClassPathOutsideTheProjectsPackagesIsNotTrusted() {
    assertFalse(PluginTrust.isTrusted(new FakePlugin.First()));
  }
}
