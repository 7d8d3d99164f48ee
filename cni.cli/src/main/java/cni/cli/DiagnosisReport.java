// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.AttachmentId;
import cni.api.Json;
import cni.doctor.Diagnosis;
import cni.doctor.Finding;
import cni.doctor.FindingKind;
import cni.doctor.Severity;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The forms in which {@code cni doctor} prints a diagnosis.
 *
 * @param diagnosis the diagnosis
 * @param suggested completes the commands of remedies
 */
record DiagnosisReport(Diagnosis diagnosis, SuggestedCommand suggested) {
  /** Of more findings of one kind, such as attachments before a reboot, the text has a count. */
  private static final int MAX_OF_KIND = 5;

  /** The length from which the text has only the beginning of evidence. */
  private static final int MAX_EVIDENCE = 300;

  /** Prints the findings as text, the most serious first, and a summary in the last line. */
  void print(PrintStream out) {
    Map<FindingKind, List<Finding>> byKind = new LinkedHashMap<>();
    for (Finding finding : diagnosis.findings()) {
      byKind.computeIfAbsent(finding.kind(), _ -> new ArrayList<>()).add(finding);
    }
    for (List<Finding> findings : byKind.values()) {
      int shown = Math.min(findings.size(), MAX_OF_KIND);
      findings.subList(0, shown).forEach(it -> print(it, out));
      if (shown < findings.size()) {
        out.println("  %d more of this kind; --json lists them".formatted(findings.size() - shown));
        out.println();
      }
    }
    printOmitted(out);
    out.println(summary());
  }

  private void print(Finding finding, PrintStream out) {
    String subject = subject(finding);
    out.println(
        "%-7s  %s%s"
            .formatted(
                finding.kind().severity(),
                finding.kind(),
                subject.isEmpty() ? "" : "  " + subject));
    out.println("  " + finding.description());
    out.println("  seen:  " + shortened(finding.evidence()));
    out.println("  mend:  " + suggested.complete(finding.remedy()));
    out.println();
  }

  private static String subject(Finding finding) {
    String networks = String.join(", ", finding.networks());
    return finding
        .attachment()
        .map(id -> "%s %s/%s".formatted(networks, container(finding, id), id.interfaceName()))
        .orElse(networks);
  }

  /** Ends long evidence, such as a list of rules, after a word. */
  private static String shortened(String evidence) {
    if (evidence.length() <= MAX_EVIDENCE) {
      return evidence;
    }
    int space = evidence.lastIndexOf(' ', MAX_EVIDENCE);
    int end = space > 0 ? space : MAX_EVIDENCE;
    return "%s … (%d more characters; --json has them)"
        .formatted(evidence.substring(0, end), evidence.length() - end);
  }

  private static String container(Finding finding, AttachmentId id) {
    return finding.container().orElse(id.containerId());
  }

  private void printOmitted(PrintStream out) {
    Map<String, List<String>> kinds = new LinkedHashMap<>();
    for (Diagnosis.Omitted omitted : diagnosis.omitted()) {
      kinds
          .computeIfAbsent(omitted.reason(), _ -> new ArrayList<>())
          .add(omitted.kind().toString());
    }
    kinds.forEach(
        (reason, names) -> {
          out.println("not examined: " + String.join(", ", names));
          out.println("  " + reason);
          out.println();
        });
  }

  private String summary() {
    long errors = count(Severity.ERROR);
    long warnings = count(Severity.WARNING);
    String found =
        errors + warnings == 0
            ? "nothing found"
            : plural(errors, "error") + ", " + plural(warnings, "warning");
    return diagnosis.examinations() + " examinations, " + found + omitted();
  }

  private String omitted() {
    if (diagnosis.omitted().isEmpty()) {
      return "";
    }
    boolean rootHelps = diagnosis.omitted().stream().anyMatch(Diagnosis.Omitted::lacksPrivilege);
    return ", %d not made%s"
        .formatted(diagnosis.omitted().size(), rootHelps ? " (as root they can be)" : "");
  }

  private static String plural(long count, String noun) {
    return count + " " + noun + (count == 1 ? "" : "s");
  }

  private long count(Severity severity) {
    return diagnosis.findings().stream().filter(it -> it.kind().severity() == severity).count();
  }

  /** Returns the diagnosis in JSON. */
  ObjectNode json() {
    ObjectNode object = Json.object();
    object.put("examinations", diagnosis.examinations());
    ArrayNode findings = object.putArray("findings");
    for (Finding finding : diagnosis.findings()) {
      findings.add(json(finding));
    }
    ArrayNode omitted = object.putArray("omitted");
    for (Diagnosis.Omitted it : diagnosis.omitted()) {
      omitted.addObject().put("kind", it.kind().toString()).put("reason", it.reason());
    }
    return object;
  }

  private ObjectNode json(Finding finding) {
    ObjectNode object = Json.object();
    object.put("kind", finding.kind().toString());
    object.put("severity", finding.kind().severity().toString());
    ArrayNode networks = object.putArray("networks");
    finding.networks().forEach(networks::add);
    if (finding.attachment().isPresent()) {
      AttachmentId id = finding.attachment().get();
      object.put("containerId", id.containerId());
      object.put("ifName", id.interfaceName());
    }
    object.put("description", finding.description());
    object.put("evidence", finding.evidence());
    object.put("remedy", suggested.complete(finding.remedy()));
    return object;
  }
}
