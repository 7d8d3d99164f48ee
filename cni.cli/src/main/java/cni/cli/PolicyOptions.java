// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.plugins.support.NetNsSession;
import cni.policy.HostPolicies;
import cni.policy.PolicyDirectories;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/** Options of {@code cni policy}: where policies and their state are. */
final class PolicyOptions {
  private final OptionSpec policies =
      Subcommand.pathOption("--policies")
          .defaultValue(PolicyDirectories.DEFAULT.policies().toString())
          .paramLabel("DIR")
          .description("Directory of policies (policyDir of networks); default: ${DEFAULT-VALUE}.")
          .build();

  private final OptionSpec data =
      Subcommand.pathOption("--data")
          .defaultValue(PolicyDirectories.DEFAULT.data().toString())
          .paramLabel("DIR")
          .description("Directory of the state (dataDir of networks); default: ${DEFAULT-VALUE}.")
          .build();

  private final OptionSpec hostNamespace = HostOptions.hostNamespaceOption();
  private final OptionSpec timeout = HostOptions.timeoutOption();

  /** Adds the options to a command. */
  PolicyOptions(CommandSpec command) {
    List.of(policies, data, hostNamespace, timeout).forEach(command::addOption);
  }

  /** The work of a command. */
  interface Action {
    int apply(HostPolicies policies) throws CniException;
  }

  /** Returns the directory of policies. */
  Path policies() {
    return policies.getValue();
  }

  /** Opens the host and returns what the action returns, which is an exit status. */
  int run(Action action) throws CniException {
    requireReadable();
    Deadline deadline = Deadline.after(timeout.getValue());
    var directories = new PolicyDirectories(policies(), data.getValue());
    try (NetNsSession host =
        HostPolicies.openHost(HostOptions.hostNamespace(hostNamespace), deadline)) {
      return action.apply(new HostPolicies(directories, host, deadline));
    }
  }

  /** Warns on standard error if the rules in the kernel are not those of the policies in force. */
  static void warnOfDamage(HostPolicies policies) throws CniException {
    if (policies.isUsed() && !policies.difference().isEmpty()) {
      System.err.println(
          "cni: the rules in the kernel are not what they should be; \"cni policy diff\" shows the"
              + " differences, \"cni policy apply\" restores them");
    }
  }

  /** A directory that this user may not enter looks as if nothing had ever been in force. */
  private void requireReadable() throws CniException {
    Path directory = data.getValue();
    boolean isThere = Files.exists(directory);
    boolean isUnknown = !isThere && !Files.notExists(directory);
    if (isUnknown || (isThere && !Files.isReadable(directory))) {
      throw needsRoot("the state of policies in " + directory + " cannot be read");
    }
  }

  private static CniException needsRoot(String why) {
    return new CniException(
        ErrorCode.INVALID_PARAMETER, why + "; run this command as root, with sudo");
  }
}
