// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.policy.HostPolicies;
import cni.policy.Policy;
import cni.policy.PolicyState;
import cni.policy.file.PolicyFiles;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** {@code cni policy diff}. */
final class PolicyDiffCommand extends Subcommand {
  /** As of diff(1). */
  private static final int DIFFERENT = 1;

  private static final int TROUBLE = 2;

  private final PolicyOptions options = new PolicyOptions(spec());

  PolicyDiffCommand() {
    super(
        "Compare the files with the policies in force, and these with the kernel.",
        "Prints what is in force only with \"-\", what is in the files only with \"+\", and in what the"
            + " rules in the kernel differ from what they should be (\"cni policy apply\" restores them).");
    spec()
        .usageMessage()
        .footerHeading("%nExit status:%n")
        .footer(
            "  0  no difference",
            "  1  something differs, or a file is invalid",
            "  2  failure",
            "",
            "Examples:",
            "  cni policy diff",
            "  cni policy diff --policies ./policies");
  }

  @Override
  public Integer call() {
    try {
      return options.run(PolicyDiffCommand::compare);
    } catch (CniException e) {
      int _ = ErrorReporter.report(e);
      return TROUBLE;
    }
  }

  private static int compare(HostPolicies policies) throws CniException {
    PolicyFiles files = policies.readDirectory();
    PolicyState state = policies.state();
    List<String> lines = new ArrayList<>();
    for (KnownPolicy it : KnownPolicy.all(state, files).values()) {
      if (!it.isInForce()) {
        addDifference(it, lines);
      }
    }
    if (policies.isUsed()) {
      policies.difference().forEach(it -> lines.add("kernel: " + it));
    }
    lines.forEach(System.out::println);
    files.problems().forEach(it -> System.err.println("cni: " + it));
    return lines.isEmpty() && files.problems().isEmpty() ? 0 : DIFFERENT;
  }

  private static void addDifference(KnownPolicy policy, List<String> lines) {
    List<String> before = lines(policy.inForce());
    List<String> after = lines(policy.inFile());
    lines.add("policy " + policy.name() + ": " + policy.describeState());
    before.stream().filter(it -> !after.contains(it)).forEach(it -> lines.add("- " + it));
    after.stream().filter(it -> !before.contains(it)).forEach(it -> lines.add("+ " + it));
  }

  private static List<String> lines(Optional<Policy> policy) {
    List<String> lines = new ArrayList<>();
    policy.ifPresent(
        it -> {
          lines.add("selects " + PolicyText.selection(it));
          lines.addAll(PolicyText.lines(it));
        });
    return lines;
  }
}
