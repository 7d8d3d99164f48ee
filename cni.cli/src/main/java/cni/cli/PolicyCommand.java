// SPDX-License-Identifier: Apache-2.0
package cni.cli;

/** {@code cni policy}: the commands for policies. */
final class PolicyCommand extends Subcommand {
  PolicyCommand() {
    super(
        "Show, explain and apply the policies of this host.",
        "Policies restrict what containers whose networks have the plugin \"policy\" may receive and"
            + " send. They are files in a directory; docs/policies.md describes them.");
    spec()
        .addSubcommand("list", new PolicyListCommand().spec())
        .addSubcommand("show", new PolicyShowCommand().spec())
        .addSubcommand("explain", new PolicyExplainCommand().spec())
        .addSubcommand("apply", new PolicyApplyCommand().spec())
        .addSubcommand("diff", new PolicyDiffCommand().spec())
        .addSubcommand("daemon", new PolicyDaemonCommand().spec());
    spec()
        .usageMessage()
        .footerHeading("%nExamples:%n")
        .footer(
            "  cni policy list",
            "  cni policy show web",
            "  cni policy explain mynet/blue 10.1.0.3:80",
            "  cni policy apply --dry-run");
  }

  @Override
  public Integer call() {
    return UsageErrors.missingCommand(spec().commandLine());
  }
}
