package cni.cli;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.runtime.CachedAttachment;
import cni.runtime.UpdateReport;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
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

  private final ArrayNode printed = JsonNodeFactory.instance.arrayNode();
  private final List<CniException> failures = new ArrayList<>();
  private boolean incomplete;

  /** Adds the options to a command. */
  UpdateReports(CommandSpec command) {
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
  int run(List<CachedAttachment> attachments, Operation operation) throws CniException {
    for (CachedAttachment cached : attachments) {
      AttachmentId id = cached.attachment().id();
      try {
        print(operation.run(cached));
      } catch (CniException e) {
        failures.add(
            e.withContext("container " + id.containerId() + ", interface " + id.interfaceName()));
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

  private void print(UpdateReport report) {
    incomplete |= !report.unrepaired().isEmpty();
    if (isJson()) {
      printed.add(toJson(report));
    } else {
      printText(report, Invocation.standardOutput());
    }
  }

  private void printText(UpdateReport report, PrintStream out) {
    out.println(
        "%s: container %s, interface %s: %s"
            .formatted(
                report.network(),
                report.attachment().containerId(),
                report.attachment().interfaceName(),
                summary(report)));
    for (UpdateReport.Step step : report.steps()) {
      out.println("  " + step.plugin() + ": " + step.finding());
      out.println(
          step.change()
              .map(change -> (isDryRun() ? "    would " : "    ") + change)
              .orElse(
                  "    cannot be restored without deleting the attachment and adding it again"));
    }
    report.warnings().forEach(warning -> out.println("  warning: " + warning));
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

  private static ObjectNode toJson(UpdateReport report) {
    ObjectNode object = JsonNodeFactory.instance.objectNode();
    object.put("network", report.network());
    object.put("containerId", report.attachment().containerId());
    object.put("ifName", report.attachment().interfaceName());
    object.put("recreated", report.isRecreated());
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
