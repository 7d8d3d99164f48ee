// SPDX-License-Identifier: Apache-2.0
package cni.embedder;

import cni.runtime.Cni;
import cni.runtime.CniBuilder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A host with an empty plugin directory, in which tests install plugins. */
abstract class PluginDirectoryTestBase {
  @TempDir Path workshop;
  PluginCompiler compiler;
  Path root;
  Cni cni;

  @BeforeEach
  final void open() throws IOException {
    compiler = new PluginCompiler(Files.createDirectory(workshop.resolve("made")));
    root = Files.createDirectory(workshop.resolve("modules"));
    System.getProperties().keySet().removeIf(key -> key.toString().startsWith("cni.test."));
    cni = builder().build();
  }

  @AfterEach
  final void close() {
    cni.close();
  }

  final CniBuilder builder() {
    return Cni.builder()
        .networks(workshop.resolve("net.d"))
        .pluginDirectories(root)
        .executables()
        .timeout(timeout())
        .cache(workshop.resolve("cache"));
  }

  /** The timeout of an operation. */
  Duration timeout() {
    return Duration.ofMinutes(2);
  }

  final void deploy(String name, String source) throws IOException {
    PluginCompiler.deploy(compiler.compilePlugin("1", source), root.resolve(name));
  }

  /** Configures network n with these plugins. */
  final void network(String... types) throws IOException {
    String plugins =
        Arrays.stream(types)
            .map(type -> "{\"type\":\"" + type + "\"}")
            .collect(Collectors.joining(","));
    Files.createDirectories(workshop.resolve("net.d"));
    Files.writeString(
        workshop.resolve("net.d/n.conflist"),
        "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"plugins\":[" + plugins + "]}");
  }
}
