// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;
import cni.runtime.UpdateReport;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Runs updates or repairs of several attachments and prints what they did. One that fails does not
 * stop the others.
 */
final class UpdateReports {
  private final OptionSpec dryRun =
      Subcommand.flag("--dry-run", "Print what would be changed, and change nothing.");
  private final OptionSpec json = Subcommand.flag("--json", "Print JSON.");

  private final CommandSpec command;
  private final ArrayNode printed = JsonNodeFactory.instance.arrayNode();
  private final List<CniException> failures = new ArrayList<>();
  private boolean incomplete;

  /** Which lines describe a step. */
  enum Style {
    /** The change only, for a change that was asked for. */
    CHANGES,
    /** What was found, and the change. */
    FINDINGS
  }

  private final Style style;

  /** Adds the options to a command. */
  UpdateReports(CommandSpec command, Style style) {
    this.command = command;
    this.style = style;
    command.addOption(dryRun).addOption(json);
  }

  /** The update or repair of one attachment. */
  interface Operation {
    UpdateReport run(CachedAttachment cached) throws CniException;
  }

  boolean isDryRun() {
    return dryRun.<Boolean>getValue();
  }

  /**
   * Runs an operation for every attachment.
   *
   * @return the exit status: 1 if an operation failed or left a difference
   * @throws CniException the first failure; further ones are suppressed exceptions of it
   */
  int run(Cni cni, List<CachedAttachment> attachments, Operation operation) throws CniException {
    for (CachedAttachment cached : attachments) {
      AttachmentId id = cached.attachment().id();
      try {
        UpdateReport report = operation.run(cached);
        print(report, report.isRecreated() && !isDryRun() ? addresses(cni, report) : List.of());
      } catch (CniException e) {
        failures.add(
            new GoneNamespace(cached.network(), cached.attachment())
                .explain(e, SuggestedCommand.of(command))
                .withContext(
                    "container " + id.containerId() + ", interface " + id.interfaceName()));
        if (e.is(ErrorCode.TRY_AGAIN_LATER) && Thread.currentThread().isInterrupted()) {
          break;
        }
      }
    }
    if (isJson()) {
      Json.print(printed, Invocation.standardOutput());
    }
    if (!failures.isEmpty()) {
      CniException first = failures.removeFirst();
      failures.forEach(first::addSuppressed);
      throw first;
    }
    return incomplete ? 1 : 0;
  }

  private boolean isJson() {
    return json.<Boolean>getValue();
  }

  /** Returns the addresses of an attachment that was added again, which may have changed. */
  private static List<String> addresses(Cni cni, UpdateReport report) throws CniException {
    List<String> addresses = new ArrayList<>();
    for (CachedAttachment it : cni.attachments(report.attachment().containerId())) {
      if (it.network().equals(report.network())
          && it.attachment().id().equals(report.attachment())) {
        it.result().ips().forEach(ip -> addresses.add(ip.address().toString()));
      }
    }
    return addresses;
  }

  private void print(UpdateReport report, List<String> addresses) {
    incomplete |= !report.unrepaired().isEmpty();
    if (isJson()) {
      printed.add(toJson(report, addresses));
    } else {
      printText(report, addresses, Invocation.standardOutput());
    }
  }

  private void printText(UpdateReport report, List<String> addresses, PrintStream out) {
    out.println(
        "%s: container %s, interface %s: %s"
            .formatted(
                report.network(),
                report.attachment().containerId(),
                report.attachment().interfaceName(),
                summary(report)
                    + (addresses.isEmpty() ? "" : " with " + String.join(", ", addresses))));
    report.steps().forEach(step -> print(step, out));
    report.warnings().forEach(warning -> out.println("  warning: " + warning));
  }

  private void print(UpdateReport.Step step, PrintStream out) {
    Optional<String> change = step.change().map(it -> (isDryRun() ? "would " : "") + it);
    if (style == Style.CHANGES && change.isPresent()) {
      out.println("  " + step.plugin() + ": " + change.get());
      return;
    }
    out.println("  " + step.plugin() + ": " + step.finding());
    out.println(
        "    "
            + change.orElse(
                "cannot be restored without deleting the attachment and adding it again"));
  }

  private String summary(UpdateReport report) {
    if (report.isRecreated()) {
      return isDryRun() ? "would be recreated" : "recreated";
    }
    int count = report.steps().size() - report.unrepaired().size();
    if (report.steps().isEmpty()) {
      return "as it should be";
    }
    return "%d %s%s"
        .formatted(count, count == 1 ? "change" : "changes", isDryRun() ? " to make" : " made");
  }

  private static ObjectNode toJson(UpdateReport report, List<String> addresses) {
    ObjectNode object = JsonNodeFactory.instance.objectNode();
    object.put("network", report.network());
    object.put("containerId", report.attachment().containerId());
    object.put("ifName", report.attachment().interfaceName());
    object.put("recreated", report.isRecreated());
    if (!addresses.isEmpty()) {
      addresses.forEach(object.putArray("addresses")::add);
    }
    ArrayNode steps = object.putArray("steps");
    for (UpdateReport.Step it : report.steps()) {
      ObjectNode step = steps.addObject();
      step.put("plugin", it.plugin()).put("finding", it.finding());
      it.change().ifPresent(change -> step.put("change", change));
    }
    ArrayNode warnings = object.putArray("warnings");
    report.warnings().forEach(warnings::add);
    return object;
  }
}
