package cni.doctor;

import cni.api.CniException;
import cni.api.Json;
import cni.api.internal.RegularFiles;
import cni.runtime.Network;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/** Examines the files of network configurations. */
final class ConfigExaminations {
  static final List<Examination> ALL =
      List.of(
          new Examination(FindingKind.CONFIG_DIRECTORY_EMPTY, ConfigExaminations::emptyDirectory),
          new Examination(FindingKind.CONFIG_UNREADABLE, ConfigExaminations::unreadable),
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
      if (file.error().isPresent()) {
        findings.ofHost(
            "a network configuration cannot be used: ADD of its network fails",
            file.error().get().getMessage(),
            "correct it; \"cni validate " + file.file() + "\" shows what is expected");
      }
    }
    for (Network network : host.networks()) {
      try {
        HostLocalRanges.of(network.config());
      } catch (CniException e) {
        findings.ofNetwork(
            network.name(),
            "the addresses of a network are configured wrongly: ADD fails",
            "network " + network.name() + ": " + e.getMessage(),
            "correct it; docs/plugins.md has the options of host-local");
      }
    }
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
            "rm " + file.file());
      }
    }
  }

  private static void ignored(HostView host, Findings findings) throws IOException {
    for (Path file : NetworkFile.others(host.locations().networks())) {
      if (isNetwork(file)) {
        findings.ofHost(
            "a file is ignored, although its content is a network configuration",
            file + " does not end with .conflist, .conf or .json",
            "mv " + file + " " + file + ".conflist, or move it elsewhere");
      }
    }
  }

  private static boolean isNetwork(Path file) throws IOException {
    try {
      ObjectNode json = Json.parse(RegularFiles.read(file), file.toString());
      return json.has("name") && (json.has("plugins") || json.has("type"));
    } catch (CniException e) {
      return false;
    }
  }
}
