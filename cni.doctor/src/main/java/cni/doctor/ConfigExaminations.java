// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.CniException;
import cni.api.Json;
import cni.api.internal.RegularFiles;
import cni.runtime.ConfigProblem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.node.ObjectNode;

/** Examines the files of network configurations. */
final class ConfigExaminations {
  static final List<Examination> ALL =
      List.of(
          new Examination(FindingKind.CONFIG_DIRECTORY_EMPTY, ConfigExaminations::emptyDirectory),
          new Examination(FindingKind.CONFIG_UNREADABLE, ConfigExaminations::unreadable),
          new Examination(FindingKind.CONFIG_QUESTIONABLE, ConfigExaminations::questionable),
          new Examination(FindingKind.CONFIG_SHADOWED, ConfigExaminations::shadowed),
          new Examination(FindingKind.CONFIG_IGNORED, ConfigExaminations::ignored));

  private ConfigExaminations() {}

  private static void emptyDirectory(HostView host, Findings findings)
      throws IOException, CniException {
    Path directory = host.locations().networks();
    if (host.files().isEmpty()) {
      findings.ofHost(
          "there is no network configuration: every ADD fails",
          Files.isDirectory(directory)
              ? "no *.conflist, *.conf or *.json in " + directory
              : directory + " does not exist",
          "put a network's configuration there, or name the directory with --networks");
    }
  }

  private static void unreadable(HostView host, Findings findings)
      throws IOException, CniException {
    for (NetworkFile file : host.files()) {
      String remedy = RemedyText.commented(validate(file), "shows what is expected");
      for (ConfigProblem problem : file.errors()) {
        findings.ofNetwork(
            file.name(), "a network is configured wrongly: ADD fails", problem.toString(), remedy);
      }
      if (file.error().isPresent() && file.errors().isEmpty()) {
        findings.ofNetworks(
            file.network().map(it -> List.of(it.name())).orElse(List.of()),
            "a network configuration cannot be used: ADD of its network fails",
            file.error().get().getMessage(),
            remedy);
      }
    }
  }

  private static void questionable(HostView host, Findings findings)
      throws IOException, CniException {
    for (NetworkFile file : host.files()) {
      for (ConfigProblem problem : file.warnings()) {
        findings.ofNetwork(
            file.name(),
            "a network is probably not configured as it was meant",
            problem.toString(),
            RemedyText.commented(
                validate(file),
                "correct it; cni update " + file.name() + " --all changes what is attached"));
      }
    }
  }

  private static String validate(NetworkFile file) {
    return "cni validate " + RemedyText.quoted(file.file());
  }

  private static void shadowed(HostView host, Findings findings) throws IOException, CniException {
    Map<String, Path> used = new HashMap<>();
    for (NetworkFile file : host.files()) {
      Path first =
          file.network().isPresent() ? used.putIfAbsent(file.name(), file.file()) : file.file();
      if (first != null && file.network().isPresent()) {
        findings.ofNetwork(
            file.name(),
            "two files define the network, of which the first is used",
            first + " is used, " + file.file() + " is not",
            "rm " + RemedyText.quoted(file.file()));
      }
    }
  }

  private static void ignored(HostView host, Findings findings) throws IOException {
    for (Path file : NetworkFile.others(host.locations().networks())) {
      Optional<String> extension = extension(file);
      if (extension.isPresent()) {
        findings.ofHost(
            "a file is ignored, although its content is a network configuration",
            file + " does not end with .conflist, .conf or .json",
            "mv %s %s"
                .formatted(RemedyText.quoted(file), RemedyText.quoted(file + extension.get())));
      }
    }
  }

  /** Returns the extension that a file with a network's configuration should have. */
  private static Optional<String> extension(Path file) throws IOException {
    try {
      ObjectNode json = Json.parse(RegularFiles.read(file), file.toString());
      boolean isList = json.has("plugins");
      return json.has("name") && (isList || json.has("type"))
          ? Optional.of(isList ? ".conflist" : ".conf")
          : Optional.empty();
    } catch (CniException e) {
      return Optional.empty();
    }
  }
}
