// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.policy.HostPolicies;
import cni.policy.Policy;
import cni.policy.PolicyState;
import cni.policy.PolicyUpdate;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import picocli.CommandLine.Model.OptionSpec;

/** {@code cni policy apply}. */
final class PolicyApplyCommand extends Subcommand {
  private static final int INVALID = 1;

  private final PolicyOptions options = new PolicyOptions(spec());
  private final OptionSpec dryRun = flag("--dry-run", "Print what would change; change nothing.");

  PolicyApplyCommand() {
    super(
        "Put the policies of the files in force.",
        "All at once, or nothing if a file is invalid: then it prints every problem with its file and"
            + " line, and exits with 1. Connections that the policies forbid are cut; others go on."
            + " Also restores rules that other programs have changed. A resident process (\"cni"
            + " serve\", \"cni policy daemon\") applies files by itself when they change.");
    spec().addOption(dryRun);
    spec()
        .usageMessage()
        .footerHeading("%nExamples:%n")
        .footer("  cni policy apply --dry-run", "  cni policy apply");
  }

  @Override
  public Integer call() throws CniException {
    return options.run(this::apply);
  }

  private int apply(HostPolicies policies) throws CniException {
    boolean isDry = dryRun.getValue();
    PolicyUpdate update =
        isDry
            ? new PolicyUpdate(policies.readDirectory(), policies.state().policies())
            : policies.applyDirectory();
    if (!update.isValid()) {
      update.files().problems().forEach(it -> System.err.println("cni: " + it));
      System.err.println("cni: nothing has changed: the policies before stay in force");
      return INVALID;
    }
    for (PolicyUpdate.Change it : update.changes()) {
      String kind = it.kind().name().toLowerCase(Locale.ROOT);
      System.out.println((isDry ? "would be " : "") + kind + ": " + it.policy());
    }
    warnOfUnused(update, policies.state());
    System.out.println(
        update.changes().isEmpty()
            ? "nothing to change; policies in force: " + update.before().size()
            : "policies %s in force: %d"
                .formatted(isDry ? "that would be" : "now", update.files().policies().size()));
    List<String> damage = policies.isUsed() ? policies.difference() : List.of();
    if (!damage.isEmpty() && !isDry) {
      policies.restore();
    }
    damage.forEach(it -> System.out.println((isDry ? "would be " : "") + "restored: " + it));
    return 0;
  }

  /** Warns of policies that are new or changed and select nothing: a label may be misspelt. */
  private static void warnOfUnused(PolicyUpdate update, PolicyState state) {
    Set<String> changed =
        update.changes().stream().map(PolicyUpdate.Change::policy).collect(Collectors.toSet());
    for (Policy policy : update.files().policies()) {
      if (changed.contains(policy.name())
          && !state.endpoints().isEmpty()
          && state.endpoints().values().stream().noneMatch(policy::selects)) {
        System.err.println("cni: policy " + policy.name() + " selects no attachment at present");
      }
    }
  }
}
