// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.OptionSpec;

/** {@code cni policy daemon}. */
final class PolicyDaemonCommand extends Subcommand {
  private final List<OptionSpec> options =
      List.of(
          option("--policies", "DIR", "Directory of policies; default: /etc/cni/policy.d."),
          option("--data", "DIR", "Directory of the state; default: /run/cni/policy."),
          option(
              "--host-netns",
              "PATH",
              "Network namespace of the host side; default: that of this process."));

  PolicyDaemonCommand() {
    super(
        "Put policies in force when their files change, until interrupted.",
        "For hosts whose plugins are executables and that have no \"cni serve\", which does the same."
            + " Files that are invalid change nothing; they are reported on standard error.");
    options.forEach(spec()::addOption);
    spec()
        .usageMessage()
        .footerHeading("%nExamples:%n")
        .footer("  cni policy daemon", "  cni policy daemon --policies /etc/containers/policies");
  }

  private static OptionSpec option(String name, String label, String description) {
    return OptionSpec.builder(name)
        .type(String.class)
        .paramLabel(label)
        .description(description)
        .build();
  }

  @Override
  public Integer call() {
    List<String> arguments = new ArrayList<>();
    for (OptionSpec option : options) {
      @Nullable String given = option.getValue();
      Optional.ofNullable(given)
          .map(it -> isNamespace(option) ? NamespacePaths.resolve(it) : Invocation.resolve(it))
          .ifPresent(it -> arguments.addAll(List.of(option.longestName(), it.toString())));
    }
    return DaemonRunner.run("policy", arguments);
  }

  private static boolean isNamespace(OptionSpec option) {
    return option.longestName().equals("--host-netns");
  }
}
