// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.runtime.ValidationReport;

/** {@code cni status}. */
final class StatusCommand extends Subcommand {
  private final NetworkOptions options = new NetworkOptions(spec());

  StatusCommand() {
    super(
        "Check that a network is ready for ADD.",
        "Prints nothing if it is. Problems of the configuration are printed on standard error, as by"
            + " cni validate; warnings do not fail the command.");
    NetworkOptions.addUnusedNamespace(spec());
  }

  @Override
  public Integer call() throws CniException {
    options.apply(StatusCommand::status);
    return 0;
  }

  private static void status(Network network, Cni cni) throws CniException {
    ConfigWarnings.printShadowed(cni);
    ValidationReport report = ConfigWarnings.print(network);
    network.status();
    report.requireNoErrors(); // below version 1.1.0 there is no STATUS that would fail
  }
}
