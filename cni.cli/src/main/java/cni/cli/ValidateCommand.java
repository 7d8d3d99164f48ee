// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.internal.Suggestions;
import cni.doctor.SubnetOverlap;
import cni.runtime.Cni;
import cni.runtime.ConfigProblem;
import cni.runtime.Network;
import cni.runtime.ValidationReport;
import cni.runtime.ValidationReport.FileReport;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code cni validate}. */
final class ValidateCommand extends Subcommand {
  private final HostOptions host = new HostOptions(spec());
  private final OptionSpec json = flag("--json", "Print JSON.");
  private final OptionSpec strict = flag("--strict", "Exit with status 1 for warnings, too.");
  private final PositionalParamSpec configurations =
      parameters(0, "FILE|NETWORK")
          .description(
              "Configuration files (.conflist, .conf or .json) or names of networks; default: all"
                  + " files of the directory of network configurations.")
          .build();

  ValidateCommand() {
    super(
        "Validate network configurations.",
        "Checks the syntax, every key and value of the network and of its plugins, that the plugins"
            + " exist, that they support the version, and that networks do not share addresses."
            + " Changes nothing and does not examine the host. Prints all problems with their lines:"
            + " errors, with which ADD fails, and warnings, such as a key that no plugin reads.",
        "Exit status: 0 if there are no errors, 1 if there are.");
    spec().addOption(json).addOption(strict).addPositional(configurations);
  }

  @Override
  public Integer call() throws CniException {
    ValidationReport report;
    try (Cni cni = host.open()) {
      report = validate(cni);
    }
    boolean asJson = json.getValue();
    if (asJson) {
      Json.print(report.toJson(), System.out);
    } else {
      report.files().forEach(ValidateCommand::print);
      if (report.files().isEmpty()) {
        System.out.println("no network configurations");
      }
    }
    boolean isStrict = strict.getValue();
    return report.hasErrors() || (isStrict && !report.problems().isEmpty()) ? 1 : 0;
  }

  private ValidationReport validate(Cni cni) throws CniException {
    List<String> selected = configurations.getValue();
    if (selected.isEmpty()) {
      return withOverlaps(cni.validate(), cni);
    }
    List<FileReport> files = new ArrayList<>();
    for (String it : selected) {
      files.addAll(validate(it, cni).files());
    }
    return new ValidationReport(files);
  }

  /** A network's name has no slash and, in contrast to a file's, no extension that is read. */
  private ValidationReport validate(String fileOrNetwork, Cni cni) throws CniException {
    Path file = Invocation.resolve(fileOrNetwork);
    boolean isFile =
        fileOrNetwork.indexOf('/') >= 0
            || fileOrNetwork.endsWith(".conflist")
            || fileOrNetwork.endsWith(".conf")
            || fileOrNetwork.endsWith(".json")
            || Files.isRegularFile(file);
    if (isFile) {
      return cni.validate(file);
    }
    ValidationReport all = withOverlaps(cni.validate(), cni);
    List<FileReport> named =
        all.files().stream().filter(it -> it.network().equals(fileOrNetwork)).toList();
    if (named.isEmpty()) {
      throw unknown(fileOrNetwork, all);
    }
    return new ValidationReport(named);
  }

  private CniException unknown(String name, ValidationReport all) {
    List<String> names =
        all.files().stream().map(FileReport::network).filter(it -> !it.isEmpty()).toList();
    List<String> hints = new ArrayList<>();
    if (!names.isEmpty()) {
      hints.add(Suggestions.of(name, new TreeSet<>(names)));
    }
    int unnamed = all.files().size() - names.size();
    if (unnamed > 0) {
      hints.add(
          "%d %s no valid name: see \"cni validate\""
              .formatted(unnamed, unnamed == 1 ? "file has" : "files have"));
    }
    return new CniException(
        ErrorCode.INVALID_CONFIG,
        "no network named \"%s\" in %s".formatted(name, host.networks())
            + (hints.isEmpty() ? ", which has no networks" : ": " + String.join("; ", hints)));
  }

  /** Adds a warning to a network that gives away addresses of an earlier one. */
  private static ValidationReport withOverlaps(ValidationReport report, Cni cni)
      throws CniException {
    List<Network> networks = new ArrayList<>();
    Set<String> names = new HashSet<>();
    for (FileReport it : report.files()) {
      if (it.version().isPresent() && it.file().isPresent() && names.add(it.network())) {
        networks.add(cni.network(it.file().get()));
      }
    }
    List<FileReport> files = new ArrayList<>(report.files());
    for (SubnetOverlap overlap : SubnetOverlap.among(networks)) {
      for (int i = 0; i < files.size(); i++) {
        if (files.get(i).network().equals(overlap.other())) {
          files.set(i, withOverlap(files.get(i), overlap));
        }
      }
    }
    return new ValidationReport(files);
  }

  private static FileReport withOverlap(FileReport report, SubnetOverlap overlap) {
    List<ConfigProblem> problems = new ArrayList<>(report.problems());
    problems.add(
        new ConfigProblem(
            ConfigProblem.Severity.WARNING,
            report.file(),
            OptionalInt.empty(),
            "ipam",
            "",
            "has addresses of another network of this host, " + overlap.evidence(),
            "give one of both another subnet"));
    return new FileReport(
        report.file(), report.network(), report.version(), report.capabilities(), problems);
  }

  private static void print(FileReport report) {
    System.out.println(summary(report));
    for (ConfigProblem problem : report.problems()) {
      System.out.println("  " + problem);
    }
  }

  private static String summary(FileReport report) {
    String subject =
        report.file().map(it -> it + ": ").orElse("")
            + (report.network().isEmpty() ? "" : "network " + report.network() + " ");
    String counts =
        join(count(report.errorCount(), "error"), count(report.warningCount(), "warning"));
    if (report.errorCount() > 0 || report.version().isEmpty()) {
      return subject + (report.network().isEmpty() ? "" : "has ") + counts;
    }
    return subject
        + "is valid: version "
        + report.version().get()
        + ", capabilities "
        + (report.capabilities().isEmpty() ? "none" : String.join(", ", report.capabilities()))
        + (counts.isEmpty() ? "" : "; " + counts);
  }

  private static String join(String errors, String warnings) {
    return errors + (errors.isEmpty() || warnings.isEmpty() ? "" : ", ") + warnings;
  }

  private static String count(int number, String noun) {
    return switch (number) {
      case 0 -> "";
      case 1 -> "1 " + noun;
      default -> number + " " + noun + "s";
    };
  }
}
