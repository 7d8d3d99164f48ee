// SPDX-License-Identifier: Apache-2.0
package cni.embedder;

import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/** Compiles plugins from source while a test runs, and installs them in a plugin directory. */
final class PluginCompiler {
  /** The directory for sources, classes and plugins that are not installed yet. */
  private final Path workshop;

  PluginCompiler(Path workshop) {
    this.workshop = workshop;
  }

  /**
   * The source of a plugin class.
   *
   * @param add the body of a method that returns a String: the DNS domain of the result of ADD
   * @param members further members of the class
   */
  static String sourceOf(String type, String add, String members) {
    return """
        package demo;
        import cni.api.*;
        import java.util.*;
        public final class Demo implements NetworkPlugin {
          public String type() { return "%s"; }
          public Result add(AttachmentRequest request) throws CniException {
            String domain = request.prevResult().map(it -> it.dns().domain() + " ").orElse("") + answer(request);
            return new Result(List.of(), List.of(), List.of(), new Dns(List.of(), domain, List.of(), List.of()));
          }
          private String answer(AttachmentRequest request) throws CniException { %s }
          public void check(AttachmentRequest request) throws CniException {}
          public void delete(AttachmentRequest request) throws CniException {
            System.getProperties().merge("cni.test.deleted", type(), (a, b) -> a + " " + b);
          }
          %s
        }
        """
        .formatted(type, add, members);
  }

  /** The source of a plugin whose ADD returns a constant DNS domain. */
  static String sourceAnswering(String type, String domain) {
    return sourceOf(type, "return \"" + domain + "\";", "");
  }

  static final String MODULE =
      "module demo { requires cni.api; provides cni.api.NetworkPlugin with demo.Demo; }";

  /**
   * Compiles a module into a jar in the given directory, whose other modules it can require.
   *
   * @param name the name of the jar, and the module's version if it is a number
   * @param sources the module's source files by their names
   * @return the jar
   */
  Path compileJar(Path directory, String name, Map<String, String> sources) throws IOException {
    Files.createDirectories(directory);
    Path classes = Files.createTempDirectory(workshop, "classes");
    List<Path> files = new ArrayList<>();
    for (Map.Entry<String, String> source : sources.entrySet()) {
      Path file = Files.createTempDirectory(workshop, "source").resolve(source.getKey());
      Files.writeString(file, source.getValue());
      files.add(file);
    }
    compile(files, classes, directory);
    Path jar = directory.resolve(name + ".jar");
    String version = name.replaceFirst("^[^0-9]*$", "1");
    run("jar", "--create", "--file=" + jar, "--module-version=" + version, "-C", classes + "", ".");
    return jar;
  }

  private static void compile(List<Path> files, Path classes, Path directory) throws IOException {
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    var messages = new StringWriter();
    try (StandardJavaFileManager manager = compiler.getStandardFileManager(null, null, null)) {
      var task =
          compiler.getTask(
              messages,
              manager,
              null,
              List.of("-d", classes.toString(), "-p", modulePath() + ":" + directory),
              null,
              manager.getJavaFileObjectsFromPaths(files));
      if (!task.call()) {
        throw new IOException(messages.toString());
      }
    }
  }

  private static String modulePath() {
    try (Stream<String> entries =
        Stream.of(
            (System.getProperty("java.class.path")
                    + ":"
                    + System.getProperty("jdk.module.path", ""))
                .split(":", -1))) {
      return String.join(
          ":", entries.filter(it -> !it.isEmpty() && !it.contains("test-classes")).toList());
    }
  }

  private static void run(String tool, String... arguments) throws IOException {
    var out = new StringWriter();
    try (var writer = new java.io.PrintWriter(out)) {
      int status =
          java.util.spi.ToolProvider.findFirst(tool).orElseThrow().run(writer, writer, arguments);
      if (status != 0) {
        throw new IOException(tool + ": " + out);
      }
    }
  }

  /** Compiles a plugin of one module into a new directory, which {@link #deploy} can install. */
  Path compilePlugin(String version, String source) throws IOException {
    Path directory = Files.createTempDirectory(workshop, "plugin");
    compileJar(directory, version, Map.of("module-info.java", MODULE, "Demo.java", source));
    return directory;
  }

  /** Installs a directory under a path, atomically replacing an existing one. */
  static void deploy(Path directory, Path place) throws IOException {
    Files.createDirectories(Objects.requireNonNull(place.getParent()));
    // rename(2) does not replace a directory that is not empty, but it replaces a symbolic link.
    Path link = place.resolveSibling("." + place.getFileName() + ".new");
    Files.createSymbolicLink(link, directory);
    Files.move(link, place, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }
}
