package cni.cli;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A local repository of Maven in which this build's own modules are, as "mvn install" would put
 * them there, beside what the build itself has been made with. Projects are built from it offline.
 */
final class LocalMavenRepository {
  private static final String VERSION = "0.1.0-SNAPSHOT";

  private final Path directory;
  private final Path project;

  /** Makes it in a directory that is there and empty. */
  LocalMavenRepository(Path directory) throws IOException {
    this.directory = directory;
    this.project = Path.of("..").toRealPath(); // tests run in the module's directory
    Path used =
        Path.of(
            System.getProperty(
                "maven.repo.local", System.getProperty("user.home") + "/.m2/repository"));
    try (DirectoryStream<Path> groups = Files.newDirectoryStream(used)) {
      for (Path group : groups) {
        Path name = group.getFileName();
        if (Files.isDirectory(group) && !name.toString().equals("cni")) {
          Files.createSymbolicLink(directory.resolve(name), group);
        }
      }
    }
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

  private void put(String artifact, Path pom, List<Path> jars) throws IOException {
    Path place = directory.resolve("cni/" + artifact + "/" + VERSION);
    Files.createDirectories(place);
    Files.copy(pom, place.resolve(artifact + "-" + VERSION + ".pom"));
    for (Path jar : jars) {
      Files.copy(jar, place.resolve(String.valueOf(jar.getFileName())));
    }
  }

  /** The root of this project. */
  Path project() {
    return project;
  }

  /** Runs Maven offline in a directory; what it printed is in the error if it fails. */
  void maven(Path where, String... arguments) throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(List.of("mvn", "-B", "-o", "-Dmaven.repo.local=" + directory));
    command.addAll(List.of(arguments));
    Path log = directory.resolve("log");
    Process process =
        new ProcessBuilder(command)
            .directory(where.toFile())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    if (!process.waitFor(5, TimeUnit.MINUTES) || process.exitValue() != 0) {
      process.destroyForcibly();
      throw new AssertionError(command + "\n" + Files.readString(log));
    }
  }
}
