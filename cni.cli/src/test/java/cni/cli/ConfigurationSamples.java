// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Json;
import cni.api.SpecVersion;
import cni.runtime.Cni;
import cni.runtime.ConfigProblem;
import cni.runtime.PluginSource;
import cni.runtime.ValidationReport;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * Sample configurations of a resource and the problems that validation finds in them. A sample
 * begins with a line {@code === FILENAME}; its problems follow a line of three dashes as {@code
 * LINE SEVERITY: DESCRIPTION}, with a dash for a problem of the whole file.
 */
final class ConfigurationSamples {
  private static final String BEGIN = "=== ";
  private static final String PROBLEMS = "---\n";

  private ConfigurationSamples() {}

  /**
   * A sample.
   *
   * @param file the name of the file
   * @param text its content
   * @param problems the expected problems
   */
  record Sample(String file, String text, List<String> problems) {
    @Override
    public String toString() {
      return file;
    }
  }

  /** Reads the samples of a resource. */
  static List<Sample> read(String resource) throws IOException {
    String all;
    try (InputStream in =
        Objects.requireNonNull(
            ConfigurationSamples.class.getResourceAsStream("validation/" + resource))) {
      all = new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
    List<Sample> samples = new ArrayList<>();
    for (String part : ("\n" + all).split("\n" + BEGIN, -1)) {
      if (!part.isEmpty()) {
        samples.add(parse(part + "\n"));
      }
    }
    return samples;
  }

  private static Sample parse(String part) {
    int firstLine = part.indexOf('\n');
    int problems = part.indexOf("\n" + PROBLEMS);
    String text = part.substring(firstLine + 1, problems < 0 ? part.length() : problems + 1);
    List<String> expected =
        problems < 0
            ? List.of()
            : part.substring(problems + 1 + PROBLEMS.length())
                .lines()
                .filter(line -> !line.isEmpty())
                .toList();
    return new Sample(part.substring(0, firstLine), text, expected);
  }

  /** Writes a sample to a directory and validates it. */
  static ValidationReport validate(Sample sample, Path directory, Path... executables)
      throws IOException {
    Path file = Files.writeString(directory.resolve(sample.file()), sample.text());
    try (Cni cni = open(directory, executables)) {
      return cni.validate(file);
    }
  }

  /** Opens a host whose networks and cache are in a directory. */
  static Cni open(Path directory, Path... executables) {
    return Cni.builder()
        .networks(directory)
        .executables(executables)
        .pluginDirectories()
        .searchOrder(PluginSource.BUILT_IN, PluginSource.EXECUTABLE)
        .cache(directory.resolve("cache"))
        .oneShot()
        .build();
  }

  /** Returns the problems of a report in the form of the samples. */
  static List<String> describe(ValidationReport report) {
    return report.problems().stream().map(ConfigurationSamples::describe).toList();
  }

  private static String describe(ConfigProblem problem) {
    String line = problem.line().isPresent() ? "" + problem.line().getAsInt() : "-";
    return line + " " + problem.severity().label() + ": " + problem.description();
  }

  /** Makes an executable plugin that reports all versions. */
  static void executable(Path directory, String type) throws IOException {
    var reply = Json.object().put("cniVersion", SpecVersion.CURRENT.toString());
    var supported = reply.putArray("supportedVersions");
    SpecVersion.ALL.forEach(version -> supported.add(version.toString()));
    Path file =
        Files.writeString(
            directory.resolve(type),
            "#!/bin/sh\ncat > /dev/null\necho '"
                + new String(Json.bytes(reply), StandardCharsets.UTF_8)
                + "'\n");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }
}
