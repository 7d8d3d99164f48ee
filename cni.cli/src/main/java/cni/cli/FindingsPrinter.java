// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Attachment;
import cni.api.CheckFinding;
import cni.api.CniException;
import cni.api.Json;
import java.io.PrintStream;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Prints what CHECK has found: a line for each finding, and how to restore the attachment.
 *
 * @param network the network's name
 * @param attachment the attachment
 * @param namespace the container's namespace as the command line names it, if it does
 * @param suggested completes the command that restores the attachment
 */
record FindingsPrinter(
    String network, Attachment attachment, Optional<String> namespace, SuggestedCommand suggested) {
  /**
   * Prints text on standard error, and the error as the specification's JSON on standard output
   * unless that is a terminal.
   */
  void print(CniException error) {
    List<CheckFinding> findings = error.findings();
    PrintStream err = Invocation.standardError();
    err.println(
        "cni: network %s, container %s, interface %s: %s (code %d)"
            .formatted(
                network,
                attachment.containerId(),
                attachment.interfaceName(),
                findings.size() == 1 ? "1 difference" : findings.size() + " differences",
                error.code()));
    for (int i = 0; i < findings.size(); i++) {
      err.println("  %d. %s".formatted(i + 1, describe(findings, i)));
    }
    remedy(findings).ifPresent(it -> err.println(it.purpose() + ": " + it.command()));
    ErrorReporter.printJson(error);
  }

  private static String describe(List<CheckFinding> findings, int index) {
    CheckFinding finding = findings.get(index);
    int cause = cause(findings, finding);
    String text = finding.plugin() + ": " + finding.text();
    if (cause >= 0) {
      text += " (follows from " + (cause + 1) + ")";
    }
    return finding.isRepairable() ? text : text + " (cannot be restored)";
  }

  /** Returns the index of the finding that another one follows from; -1 for none. */
  private static int cause(List<CheckFinding> findings, CheckFinding finding) {
    return finding
        .followsFrom()
        .map(cause -> findings.stream().map(CheckFinding::text).toList().indexOf(cause))
        .orElse(-1);
  }

  /**
   * A command.
   *
   * @param purpose what it does
   */
  private record Remedy(String purpose, String command) {}

  /** Returns what removes all findings; empty if there are none. */
  private Optional<Remedy> remedy(List<CheckFinding> findings) {
    if (findings.isEmpty()) {
      return Optional.empty();
    }
    var gone = new GoneNamespace(network, attachment);
    if (gone.isGone()) {
      return Optional.of(
          new Remedy("Remove what is left of the container", gone.remedy(suggested)));
    }
    String container = namespace.orElse("--container-id " + attachment.containerId());
    boolean isRepairable = findings.stream().allMatch(CheckFinding::isRepairable);
    return Optional.of(
        isRepairable
            ? new Remedy(
                "Restore the attachment",
                suggested.complete("cni repair %s %s".formatted(network, container)))
            : new Remedy(
                "Delete the attachment and add it again, with its addresses and ports",
                suggested.complete("cni update %s %s --recreate".formatted(network, container))));
  }

  /** Prints JSON on standard output: the attachment, and its findings. */
  void printJson(List<CheckFinding> findings) {
    ObjectNode object = JsonNodeFactory.instance.objectNode();
    object.put("network", network);
    object.put("containerId", attachment.containerId());
    object.put("ifName", attachment.interfaceName());
    ArrayNode array = object.putArray("findings");
    for (CheckFinding it : findings) {
      ObjectNode node = array.addObject();
      node.put("plugin", it.plugin()).put("kind", it.kind().name());
      node.put("text", it.text()).put("repairable", it.isRepairable());
      it.followsFrom().ifPresent(cause -> node.put("followsFrom", cause));
    }
    remedy(findings).ifPresent(it -> object.put("remedy", it.command()));
    Json.print(object, Invocation.standardOutput());
  }
}
