// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A local Maven repository that holds this build's modules, as "mvn install" would put them there,
 * and links to the dependencies of the build. Projects are built from it offline.
 */
final class LocalMavenRepository {
  private static final String VERSION = "0.1.0-SNAPSHOT";

  private final Path directory;
  private final Path project;

  /** Fills an existing, empty directory. */
  LocalMavenRepository(Path directory) throws IOException {
    this.directory = directory;
    this.project = Path.of("..").toRealPath(); // tests run in the module's directory
    Path buildRepository =
        Path.of(
            System.getProperty(
                "maven.repo.local", System.getProperty("user.home") + "/.m2/repository"));
    linkAll(buildRepository, directory, Path.of("io/github/cni-jvm"));
    put("cni", project.resolve("pom.xml"), List.of());
    try (DirectoryStream<Path> modules = Files.newDirectoryStream(project, "cni.*")) {
      for (Path module : modules) {
        String name = String.valueOf(module.getFileName());
        Path jar = module.resolve("target/" + name + "-" + VERSION + ".jar");
        if (Files.exists(jar)) {
          put(name, module.resolve("pom.xml"), List.of(jar));
        }
      }
    }
  }

  /** Links the content of a directory, but for a path, whose directories are created. */
  private static void linkAll(Path from, Path to, Path except) throws IOException {
    Path own = except.getName(0);
    try (DirectoryStream<Path> content = Files.newDirectoryStream(from)) {
      for (Path it : content) {
        Path name = it.getFileName();
        if (Files.isDirectory(it) && !name.equals(own)) {
          Files.createSymbolicLink(to.resolve(name), it);
        }
      }
    }
    Files.createDirectories(to.resolve(own));
    if (except.getNameCount() > 1 && Files.isDirectory(from.resolve(own))) {
      linkAll(from.resolve(own), to.resolve(own), except.subpath(1, except.getNameCount()));
    }
  }

  private void put(String artifact, Path pom, List<Path> jars) throws IOException {
    Path target = directory.resolve("io/github/cni-jvm/" + artifact + "/" + VERSION);
    Files.createDirectories(target);
    Files.copy(pom, target.resolve(artifact + "-" + VERSION + ".pom"));
    for (Path jar : jars) {
      Files.copy(jar, target.resolve(String.valueOf(jar.getFileName())));
    }
  }

  /** Returns the root of this project. */
  Path project() {
    return project;
  }

  /**
   * Runs Maven offline in a directory.
   *
   * @throws AssertionError with Maven's output if it fails or takes more than five minutes
   */
  void maven(Path projectDirectory, String... arguments) throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(List.of("mvn", "-B", "-o", "-Dmaven.repo.local=" + directory));
    command.addAll(List.of(arguments));
    Path log = directory.resolve("log");
    Process process =
        new ProcessBuilder(command)
            .directory(projectDirectory.toFile())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    if (!process.waitFor(5, TimeUnit.MINUTES) || process.exitValue() != 0) {
      process.destroyForcibly();
      throw new AssertionError(command + "\n" + Files.readString(log));
    }
  }
}
