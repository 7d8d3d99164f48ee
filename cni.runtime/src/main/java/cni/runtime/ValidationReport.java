// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Objects.requireNonNull;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.SpecVersion;
import cni.api.internal.NullChecks;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The result of validating network configurations: all problems of all of them.
 *
 * @param files what was found in each file, in the order of the files; or in the only configuration
 */
public record ValidationReport(List<FileReport> files) {
  /** Copies the list. */
  public ValidationReport {
    files = NullChecks.copyOf(files, "files");
  }

  /**
   * What was found in one file.
   *
   * @param file the file; absent if the configuration is not from a file
   * @param network the network's name; empty if it is missing or invalid, or the file is not read
   * @param version the version of the specification that plugins are called with; absent if there
   *     are errors
   * @param capabilities the capabilities that the plugins declare, in alphabetical order
   * @param problems the problems in the order of their lines; those of plugins that are configured
   *     in the network's own directory name the files there
   */
  public record FileReport(
      Optional<Path> file,
      String network,
      Optional<SpecVersion> version,
      List<String> capabilities,
      List<ConfigProblem> problems) {
    /** Copies the lists. */
    public FileReport {
      requireNonNull(file, "file");
      requireNonNull(network, "network");
      requireNonNull(version, "version");
      capabilities = NullChecks.copyOf(capabilities, "capabilities");
      problems = NullChecks.copyOf(problems, "problems");
    }

    /** Returns the number of errors. */
    public int errorCount() {
      return (int) problems.stream().filter(ConfigProblem::isError).count();
    }

    /** Returns the number of warnings. */
    public int warningCount() {
      return problems.size() - errorCount();
    }
  }

  /** Returns the problems of all files, in the order of files and lines. */
  public List<ConfigProblem> problems() {
    return files.stream().flatMap(it -> it.problems().stream()).toList();
  }

  /** Returns the errors of all files. */
  public List<ConfigProblem> errors() {
    return problems().stream().filter(ConfigProblem::isError).toList();
  }

  /** Returns the warnings of all files. */
  public List<ConfigProblem> warnings() {
    return problems().stream().filter(it -> !it.isError()).toList();
  }

  /** Returns whether there is an error. */
  public boolean hasErrors() {
    return problems().stream().anyMatch(ConfigProblem::isError);
  }

  /** Returns the capabilities that the plugins of all files declare, in alphabetical order. */
  public List<String> capabilities() {
    return files.stream().flatMap(it -> it.capabilities().stream()).distinct().sorted().toList();
  }

  /**
   * Requires that there is no error.
   *
   * @throws CniException code 7 with all errors in its message if there are any
   */
  public void requireNoErrors() throws CniException {
    if (hasErrors()) {
      String all = errors().stream().map(ConfigProblem::toString).collect(Collectors.joining("; "));
      throw new CniException(ErrorCode.INVALID_CONFIG, all);
    }
  }

  /** Returns the report as JSON, as {@code cni validate --json} prints it. */
  public ObjectNode toJson() {
    ObjectNode json = Json.object();
    json.put("errors", errors().size());
    json.put("warnings", warnings().size());
    ArrayNode list = json.putArray("files");
    files.forEach(it -> list.add(toJson(it)));
    return json;
  }

  private static ObjectNode toJson(FileReport report) {
    ObjectNode json = Json.object();
    report.file().ifPresent(it -> json.put("file", it.toString()));
    if (!report.network().isEmpty()) {
      json.put("network", report.network());
    }
    report.version().ifPresent(it -> json.put("cniVersion", it.toString()));
    ArrayNode capabilities = json.putArray("capabilities");
    report.capabilities().forEach(capabilities::add);
    ArrayNode problems = json.putArray("problems");
    for (ConfigProblem problem : report.problems()) {
      ObjectNode entry = problem.toJson();
      if (!problem.file().equals(report.file())) {
        problem.file().ifPresent(it -> entry.put("file", it.toString()));
      }
      problems.add(entry);
    }
    return json;
  }

  /** Returns the problems, one on each line. */
  @Override
  public String toString() {
    return Stream.of(problems())
        .flatMap(List::stream)
        .map(ConfigProblem::toString)
        .collect(Collectors.joining("\n"));
  }
}
