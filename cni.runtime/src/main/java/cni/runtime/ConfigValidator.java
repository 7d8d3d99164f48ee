// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import cni.api.ConfigFault;
import cni.runtime.ConfigProblem.Severity;
import cni.runtime.ValidationReport.FileReport;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/** Validates the files of a directory of network configurations, or single ones. */
final class ConfigValidator {
  private static final String READ = NetworkConfigDirectory.EXTENSIONS;

  private final CniState cni;

  ConfigValidator(CniState cni) {
    this.cni = cni;
  }

  /**
   * Validates all files of the directory, in the order in which they are searched for a network;
   * then those that look like configurations but are not read.
   *
   * @throws CniException code 7 if the directory does not exist, code 5 if it cannot be read
   */
  ValidationReport directory() throws CniException {
    List<FileReport> reports = new ArrayList<>();
    Map<String, Path> first = new LinkedHashMap<>();
    for (Path file : cni.networks().files()) {
      FileReport report = check(file);
      Path other = report.network().isEmpty() ? null : first.putIfAbsent(report.network(), file);
      reports.add(other == null ? report : shadowed(report, file, other));
    }
    for (Path file : cni.networks().unreadFiles()) {
      if (looksLikeConfiguration(file)) {
        reports.add(ConfigFileCheck.ofWholeFile(Severity.WARNING, file, unread()));
      }
    }
    return new ValidationReport(reports);
  }

  /** Validates a file, whatever its extension. */
  FileReport file(Path file) {
    FileReport report = check(file);
    String name = String.valueOf(file.getFileName());
    boolean isRead = NetworkConfigDirectory.isList(name) || NetworkConfigDirectory.isSingle(name);
    if (isRead || Files.notExists(file)) {
      return report;
    }
    return withWarning(report, new ConfigFault(ConfigFindings.WHOLE, "", unread()));
  }

  private FileReport check(Path file) {
    byte[] text;
    try {
      text = NetworkConfigDirectory.bytes(file);
    } catch (CniException e) {
      String prefix = file + " ";
      String message = e.getMessage();
      return ConfigFileCheck.ofWholeFile(
          Severity.ERROR,
          file,
          message.startsWith(prefix) ? message.substring(prefix.length()) : message);
    }
    return new ConfigFileCheck(cni, Optional.of(file)).run(text);
  }

  private static String unread() {
    return "is not read from a directory of network configurations: name it " + READ;
  }

  private static FileReport shadowed(FileReport report, Path file, Path used) {
    var fault =
        new ConfigFault(
            "name",
            '"' + report.network() + '"',
            "is the name of a network that "
                + used
                + " defines, which is used: rename one of"
                + " the networks, or remove "
                + file);
    return withWarning(report, fault);
  }

  private static FileReport withWarning(FileReport report, ConfigFault fault) {
    List<ConfigProblem> problems = new ArrayList<>();
    problems.add(
        ProblemPlaces.problem(Severity.WARNING, report.file(), OptionalInt.empty(), fault));
    problems.addAll(report.problems());
    return new FileReport(
        report.file(), report.network(), report.version(), report.capabilities(), problems);
  }

  /** Whether a file that is not read is probably meant to be: it has a JSON object, or is YAML. */
  private static boolean looksLikeConfiguration(Path file) {
    String name = String.valueOf(file.getFileName());
    if (name.startsWith(".")) {
      return false;
    }
    try {
      String text = new String(NetworkConfigDirectory.bytes(file), StandardCharsets.UTF_8);
      return text.stripLeading().startsWith("{")
          || ((name.endsWith(".yaml") || name.endsWith(".yml")) && text.contains("plugins:"));
    } catch (CniException e) {
      return false;
    }
  }
}
