// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** Projects of users: a plugin made from the template, and a program that embeds the library. */
@KernelTest(commands = {"mvn"})
@Execution(ExecutionMode.CONCURRENT)
class UserProjectsIT {
  private static final Path JAVA = Path.of(System.getProperty("java.home"), "bin");

  @TempDir private Path directory;

  @Test
  void newPluginBuildsAndWorksAsModuleAndAsExecutable() throws Exception {
    try (var host = new TestHost()) {
      var image = new ImageRunner(host);
      Path plugin = directory.resolve("label-it");
      ImageRunner.CommandOutput made =
          image.cni(Map.of(), "new-plugin", "label-it", "--dir", plugin + "");
      assertEquals(0, made.status(), made::err);
      ImageRunner.CommandOutput again =
          image.cni(Map.of(), "new-plugin", "label-it", "--dir", plugin + "");
      assertEquals(1, again.status(), again::err);

      Path repository = Files.createDirectory(directory.resolve("repository"));
      new LocalMavenRepository(repository).maven(plugin, "verify");
      assertEquals(2, reports(plugin).size(), reports(plugin)::toString);
      for (String report : reports(plugin)) {
        assertTrue(report.contains("failures=\"0\"") && report.contains("errors=\"0\""), report);
      }

      Path modules = plugin.resolve("target/modules");
      assertEquals(List.of("label-it-0.1.0.jar"), names(modules.resolve("label-it")));
      NetNs a = host.container("a");
      host.network(
          "n",
          "1.1.0",
          TestHost.DUAL_STACK.formatted(""),
          "{ \"type\": \"label-it\", \"alias\": \"blue\" }");
      String path = a.path().toString();
      for (Map<String, String> location :
          List.of(
              Map.of("CNI_MODULE_PATH", modules.toString()),
              Map.of("CNI_PATH", plugin.resolve("target/image/bin").toString()))) {
        ImageRunner.CommandOutput added = image.cni(location, "add", "n", path);
        assertEquals(0, added.status(), added::err);
        assertTrue(TestBed.run(a, "ip", "link", "show", "eth0").contains("alias blue"));
        assertEquals(0, image.cni(location, "check", "n", path).status());
        assertEquals(0, image.cni(location, "del", "n", path).status());
      }
      host.assertNothingLeft("n", a);
      ImageRunner.CommandOutput plugins =
          image.cni(Map.of("CNI_MODULE_PATH", modules.toString()), "plugins", "--json");
      assertTrue(plugins.out().contains(modules.resolve("label-it").toString()), plugins::out);
      ImageRunner.CommandOutput conformance =
          image.cni(
              Map.of("CNI_MODULE_PATH", modules.toString()),
              "conformance",
              "label-it"); // with the configuration in its jar
      assertEquals(0, conformance.status(), () -> conformance.out() + conformance.err());
    }
  }

  private static List<String> names(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  /** Returns the opening tags of the test reports, which hold the counts. */
  private static List<String> reports(Path plugin) throws IOException {
    List<String> heads = new ArrayList<>();
    try (Stream<Path> files = Files.walk(plugin.resolve("target/surefire-reports"))) {
      for (Path file : files.filter(it -> it.toString().endsWith(".xml")).toList()) {
        String text = Files.readString(file);
        heads.add(text.substring(text.indexOf("<testsuite"), text.indexOf('>', 60)));
      }
    }
    return heads;
  }

  @Test
  void embedderExampleRunsOnModulePathClassPathAndInImage() throws Exception {
    Path repository = Files.createDirectory(directory.resolve("repository"));
    var maven = new LocalMavenRepository(repository);
    Path program = directory.resolve("embedder");
    copy(maven.project().resolve("examples/embedder"), program);
    maven.maven(program, "package");
    String lib = program.resolve("target/lib").toString();
    String jar = program.resolve("target/embedder-1.jar").toString();
    try (var host = new TestHost()) {
      NetNs a = host.container("a");
      host.dualStack("mynet", "");
      List<String> arguments =
          List.of(host.networks().toString(), host.cache().toString(), a.path().toString());
      run(
          host,
          arguments,
          JAVA.resolve("java").toString(),
          "--enable-native-access=cni.netlink.ffm",
          "--illegal-native-access=deny",
          "-p",
          lib + ":" + jar,
          "-m",
          "com.example.embedder/com.example.embedder.Main");
      run(
          host,
          arguments,
          JAVA.resolve("java").toString(),
          "--enable-native-access=ALL-UNNAMED",
          "-cp",
          lib + "/*:" + jar,
          "com.example.embedder.Main");
      Path image = directory.resolve("image");
      TestBed.run(
          host.netns(),
          JAVA.resolve("jlink").toString(),
          "--module-path",
          lib + ":" + jar,
          "--add-modules",
          "com.example.embedder",
          "--add-options=--enable-native-access=cni.netlink.ffm",
          "--launcher",
          "embedder=com.example.embedder/com.example.embedder.Main",
          "--strip-debug",
          "--no-header-files",
          "--no-man-pages",
          "--compress",
          "zip-6",
          "--output",
          image.toString());
      run(host, arguments, image.resolve("bin/embedder").toString());
      assertTrue(size(image) < 64L << 20, "the image has " + size(image) + " bytes");
      host.assertNothingLeft("mynet", a);
      assertEquals(List.of(), host.results());
    }
  }

  private static void run(TestHost host, List<String> arguments, String... command)
      throws IOException {
    List<String> words = new ArrayList<>(List.of(command));
    words.addAll(arguments);
    String output = TestBed.run(host.netns(), words.toArray(String[]::new));
    assertTrue(output.contains("10.50.0."), output);
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.filter(it -> !it.startsWith(from.resolve("target"))).toList()) {
        Path target = to.resolve(from.relativize(file));
        Files.copy(file, target, StandardCopyOption.COPY_ATTRIBUTES);
      }
    }
  }

  private static long size(Path image) throws IOException {
    try (Stream<Path> files = Files.walk(image)) {
      return files.filter(Files::isRegularFile).mapToLong(file -> file.toFile().length()).sum();
    }
  }
}
