// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.NetworkPlugin;
import cni.conformance.Conformance;
import cni.conformance.ConformanceReport;
import cni.conformance.ModuleUnderTest;
import cni.conformance.SubjectConfig;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import java.io.IOException;
import java.io.StringWriter;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The projects of {@code cni new-plugin}, compiled against the classes of this build. {@link
 * UserProjectsIT} builds one with Maven.
 */
class NewPluginCommandTest {
  private static final Pattern PLUGIN_VERSION =
      Pattern.compile("<artifactId>([a-z-]+)</artifactId>\\s*<version>([0-9.]+)</version>");

  @TempDir private Path directory;

  private Path created(String kind) throws CniException, IOException {
    Path project = directory.resolve("project");
    var command = new NewPluginCommand();
    new picocli.CommandLine(command.spec())
        .parseArgs("my-plugin", "--kind", kind, "--dir", project.toString());
    assertEquals(0, command.call());
    return project;
  }

  private static List<Path> files(Path project) throws IOException {
    try (Stream<Path> all = Files.walk(project)) {
      return all.filter(Files::isRegularFile).toList();
    }
  }

  private Path compile(Path project) throws IOException {
    Path classes = Files.createDirectory(directory.resolve("classes"));
    List<String> arguments =
        new ArrayList<>(
            List.of("-d", classes.toString(), "-proc:none", "-Xlint:all,-processing", "-Werror"));
    for (Path file : files(project)) {
      if (file.toString().endsWith(".java") && !file.endsWith("module-info.java")) {
        arguments.add(file.toString());
      }
    }
    var messages = new StringWriter();
    var compiler = ToolProvider.getSystemJavaCompiler();
    try (var manager = compiler.getStandardFileManager(null, null, null)) {
      List<Path> sources =
          arguments.stream().filter(it -> it.endsWith(".java")).map(Path::of).toList();
      List<String> options = arguments.stream().filter(it -> !it.endsWith(".java")).toList();
      var units = manager.getJavaFileObjectsFromPaths(sources);
      assertTrue(
          compiler.getTask(messages, manager, null, options, null, units).call(),
          messages::toString);
    }
    Path resources = project.resolve("src/main/resources");
    for (Path file : files(resources)) {
      Path target = classes.resolve(resources.relativize(file).toString());
      Files.createDirectories(Objects.requireNonNull(target.getParent()));
      Files.copy(file, target);
    }
    return classes;
  }

  @ParameterizedTest
  @ValueSource(strings = {"chained", "interface", "ipam"})
  @KernelTest
  void madePluginConforms(String kind) throws Exception {
    Path project = created(kind);
    for (Path file : files(project)) {
      assertFalse(Files.readString(file).contains("${artifactId}"), file::toString);
    }
    URL[] classes = {compile(project).toUri().toURL()};
    try (var loader = new URLClassLoader(classes, NewPluginCommandTest.class.getClassLoader())) {
      NetworkPlugin plugin =
          (NetworkPlugin)
              loader.loadClass("com.example.myplugin.Plugin").getConstructor().newInstance();
      try (Cni cni =
          Cni.builder()
              .plugins(plugin)
              .executables()
              .pluginDirectories()
              .oneShot()
              .cache(directory.resolve("cache"))
              .build()) {
        var config = SubjectConfig.of("my-plugin", cni.plugins());
        var subject = new ModuleUnderTest(plugin, cni.plugins(), Duration.ofSeconds(30));
        ConformanceReport report = new Conformance(subject, config).run();
        assertTrue(report.passed(), report::text);
      }
      runUnitTests(loader);
    }
  }

  private static void runUnitTests(ClassLoader loader) throws Exception {
    Class<?> tests = loader.loadClass("com.example.myplugin.PluginTest");
    int run = 0;
    for (var method : tests.getDeclaredMethods()) {
      if (method.isAnnotationPresent(Test.class)) {
        var constructor = tests.getDeclaredConstructor();
        constructor.setAccessible(true);
        method.setAccessible(true);
        method.invoke(constructor.newInstance());
        run++;
      }
    }
    assertEquals(2, run);
  }

  @Test
  void readmeBeginsWithATitle() throws Exception {
    List<String> readme = Files.readAllLines(created("chained").resolve("README.md"));
    assertTrue(readme.get(1).matches("=+"), readme::toString);
  }

  @Test
  void projectHasNoParentAndTheVersionsOfThisBuild() throws Exception {
    String pom = Files.readString(created("chained").resolve("pom.xml"));
    assertFalse(pom.contains("<parent>"), pom);
    String ours = Files.readString(Path.of("..", "pom.xml"));
    Matcher version = PLUGIN_VERSION.matcher(pom);
    int compared = 0;
    while (version.find()) {
      if (version.group(1).startsWith("maven-") || version.group(1).startsWith("exec-")) {
        assertTrue(
            Pattern.compile(
                    "<artifactId>"
                        + version.group(1)
                        + "</artifactId>\\s*<version>"
                        + Pattern.quote(version.group(2)))
                .matcher(ours)
                .find(),
            version.group());
        compared++;
      }
    }
    assertEquals(7, compared);
    assertTrue(ours.contains("<junit.version>6.1.3<") && pom.contains("<version>6.1.3<"));
    assertTrue(ours.contains("<jspecify.version>1.0.1<") && pom.contains("<version>1.0.1<"));
  }

  @Test
  void typeOfABuiltInPluginIsRefused() {
    Path project = directory.resolve("project");
    for (String name : List.of("bridge", "host-local")) {
      var command = new NewPluginCommand();
      new picocli.CommandLine(command.spec()).parseArgs(name, "--dir", project.toString());
      CniException e = assertThrows(CniException.class, command::call);
      assertEquals(
          name + " is the type of a built-in plugin; choose another name, such as my-" + name,
          e.getMessage());
      assertFalse(Files.exists(project));
    }
  }

  @Test
  void unknownKindIsRefused() {
    CniException e = assertThrows(CniException.class, () -> created("meta"));
    assertEquals("--kind meta is none of chained, interface, ipam", e.getMessage());
  }
}
