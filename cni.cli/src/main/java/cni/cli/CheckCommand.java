// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Attachment;
import cni.api.CniException;
import cni.runtime.Network;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import picocli.CommandLine.Model.OptionSpec;

/** {@code cni check}. */
final class CheckCommand extends Subcommand {
  private final AttachmentOptions options = AttachmentOptions.ofStored(spec());
  private final OptionSpec json = flag("--json", "Print JSON.");

  CheckCommand() {
    super(
        "Check that an attachment is as ADD made it.",
        "Prints nothing if it is. Otherwise prints every difference, causes before their consequences,"
            + " and exits with 1. What is not given is as the ADD stored it: CNI_ARGS, capability"
            + " arguments, and, where only one attachment fits, container id, interface name and"
            + " NETNS.");
    spec().addOption(json);
  }

  @Override
  public Integer call() {
    var differs = new AtomicBoolean();
    int status =
        options.applyToStored((network, attachment) -> differs.set(check(network, attachment)));
    return differs.get() ? 1 : status;
  }

  /** Prints the differences, and returns whether there are any. */
  private boolean check(Network network, Attachment attachment) throws CniException {
    var printer =
        new FindingsPrinter(
            network.name(), attachment, options.namespaceArgument(), SuggestedCommand.of(spec()));
    try {
      network.check(attachment);
    } catch (CniException e) {
      if (e.findings().isEmpty()) {
        throw new GoneNamespace(network.name(), attachment).explain(e, SuggestedCommand.of(spec()));
      }
      if (json.<Boolean>getValue()) {
        printer.printJson(e.findings());
      } else {
        printer.print(e);
      }
      return true;
    }
    if (json.<Boolean>getValue()) {
      printer.printJson(List.of());
    }
    return false;
  }
}
