// SPDX-License-Identifier: Apache-2.0
package cni.cli;

/** {@code cni ipam}: the commands for the addresses that ipam plugins have assigned. */
final class IpamCommand extends Subcommand {
  IpamCommand() {
    super(
        "Show and administer the addresses of networks.",
        "show works for networks whose ipam plugin is host-local or one for a cluster. The other"
            + " commands need one for a cluster, such as etcd, whose nodes share the addresses.");
    spec()
        .addSubcommand("show", new IpamShowCommand().spec())
        .addSubcommand("import", new IpamImportCommand().spec())
        .addSubcommand("release-node", new IpamReleaseNodeCommand().spec())
        .addSubcommand("resume", new IpamResumeCommand().spec());
    spec()
        .usageMessage()
        .footerHeading("%nExamples:%n")
        .footer(
            "  cni ipam show mynet",
            "  cni ipam import /var/lib/cni/networks/mynet mynet",
            "  cni ipam release-node node-1",
            "  cni ipam resume mynet");
  }

  @Override
  public Integer call() {
    return UsageErrors.missingCommand(spec().commandLine());
  }
}
