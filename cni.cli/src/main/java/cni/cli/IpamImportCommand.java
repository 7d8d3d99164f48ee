// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.runtime.Network;
import java.nio.file.Path;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code cni ipam import}. */
final class IpamImportCommand extends Subcommand {
  private final PositionalParamSpec directory =
      requiredParameter(0, "DIRECTORY")
          .type(Path.class)
          .converters(Invocation::resolve)
          .description("Directory of a network's reservations: DATADIR/NETWORK of host-local.")
          .build();
  private final NetworkOptions options;

  IpamImportCommand() {
    super(
        "Import the addresses that host-local has reserved on this host.",
        "Reserves them in the cluster's store, for the same attachments. To move a network from"
            + " host-local to a cluster, change the ipam section of its configuration and import on"
            + " each host: attachments stay connected and keep their addresses. Until then, others"
            + " may get them. May be repeated: what has been imported is left as it is. An address"
            + " that another attachment holds, or that is in none of the ranges, is an error, and"
            + " nothing of its attachment is imported. The files of host-local stay.");
    spec().addPositional(directory);
    options = new NetworkOptions(spec(), 1);
    spec()
        .usageMessage()
        .footerHeading("%nExamples:%n")
        .footer("  cni ipam import /var/lib/cni/networks/mynet mynet");
  }

  @Override
  public Integer call() throws CniException {
    options.apply((network, _) -> importInto(network));
    return 0;
  }

  private void importInto(Network network) throws CniException {
    Path from = directory.getValue();
    int imported = network.addresses().importReservations(from);
    Invocation.standardOutput()
        .println(
            "%s: addresses of %s imported from %s"
                .formatted(network.name(), AddressTables.attachments(imported), from));
  }
}
