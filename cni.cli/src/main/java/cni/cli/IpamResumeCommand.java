// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.runtime.Network;
import picocli.CommandLine.Model.OptionSpec;

/** {@code cni ipam resume}. */
final class IpamResumeCommand extends Subcommand {
  private final NetworkOptions options = new NetworkOptions(spec());
  private final OptionSpec force =
      flag("--force", "Resume even if nodes have not yet recorded their addresses again.");

  IpamResumeCommand() {
    super(
        "Assign addresses again after the cluster's store was restored from a backup.",
        "The backup does not know the addresses that were assigned after it was made. No address is"
            + " assigned until each node has recorded those that it uses, which its resident host"
            + " (\"cni serve\") does by itself. This command ends that state, and fails while nodes"
            + " are missing; with --force, their addresses may be assigned twice. Release nodes that"
            + " no longer exist first (\"cni ipam release-node\").");
    spec().addOption(force);
    spec()
        .usageMessage()
        .footerHeading("%nExamples:%n")
        .footer("  cni ipam resume mynet", "  cni ipam resume mynet --force");
  }

  @Override
  public Integer call() throws CniException {
    options.apply((network, _) -> resume(network));
    return 0;
  }

  private void resume(Network network) throws CniException {
    boolean forced = force.getValue();
    boolean resumed = network.addresses().resume(forced);
    Invocation.standardOutput()
        .println(
            network.name()
                + (resumed
                    ? ": addresses are assigned again"
                    : ": nothing to resume: addresses are being assigned"));
  }
}
