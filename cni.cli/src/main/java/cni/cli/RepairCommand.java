// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.runtime.Cni;
import cni.runtime.Network;

/** {@code cni repair}. */
final class RepairCommand extends Subcommand {
  private final StoredAttachmentOptions options = new StoredAttachmentOptions(spec(), false);
  private final UpdateReports reports = new UpdateReports(spec(), UpdateReports.Style.FINDINGS);

  RepairCommand() {
    super(
        "Restore what is missing from attachments, without interrupting them.",
        "Restores what CHECK would miss: addresses, routes, rules, limits, sysctls, the bridge, as the"
            + " last ADD or update stored them; also for attachments that other programs made. Never"
            + " touches state of others. Exits with 1 if something cannot be restored.");
  }

  @Override
  public Integer call() {
    return InterruptOnShutdown.run(
        "cni-cleanup",
        () -> {
          try (Cni cni = options.open()) {
            return reports.run(
                cni,
                options.select(cni),
                cached -> {
                  Network network = cni.network(cached.config());
                  return reports.isDryRun()
                      ? network.planRepair(cached.attachment().id())
                      : network.repair(cached.attachment().id());
                });
          }
        });
  }
}
