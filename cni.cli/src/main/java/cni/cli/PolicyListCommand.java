// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.Json;
import cni.policy.Direction;
import cni.policy.HostPolicies;
import cni.policy.Policy;
import cni.policy.PolicyState;
import cni.policy.file.PolicyFiles;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import picocli.CommandLine.Model.OptionSpec;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code cni policy list}. */
final class PolicyListCommand extends Subcommand {
  private final PolicyOptions options = new PolicyOptions(spec());
  private final OptionSpec json = flag("--json", "Print JSON.");

  PolicyListCommand() {
    super(
        "List the policies in force and those of the files.",
        "SELECTS is the number of attachments that a policy selects. Files that are invalid are"
            + " reported on standard error.");
    spec().addOption(json);
    spec()
        .usageMessage()
        .footerHeading("%nExamples:%n")
        .footer("  cni policy list", "  cni policy list --policies ./policies --json");
  }

  @Override
  public Integer call() throws CniException {
    return options.run(this::list);
  }

  private int list(HostPolicies policies) throws CniException {
    PolicyFiles files = policies.readDirectory();
    PolicyState state = policies.state();
    Collection<KnownPolicy> all = KnownPolicy.all(state, files).values();
    boolean asJson = json.getValue();
    if (asJson) {
      Json.print(json(all, state), System.out);
    } else {
      print(all, state);
    }
    files.problems().forEach(it -> System.err.println("cni: " + it));
    PolicyOptions.warnOfDamage(policies);
    return 0;
  }

  private static void print(Collection<KnownPolicy> all, PolicyState state) {
    var table = new TextTable();
    table.row("NAME", "FILE", "SELECTS", "RESTRICTS", "STATE");
    for (KnownPolicy it : all) {
      table.row(
          it.name(),
          it.file().map(Path::getFileName).map(Path::toString).orElse("-"),
          String.valueOf(selected(it.policy(), state)),
          String.join(", ", restricts(it.policy())),
          it.describeState());
    }
    table.print(System.out);
  }

  /** Returns the number of attachments that a policy selects. */
  static long selected(Policy policy, PolicyState state) {
    return state.endpoints().values().stream().filter(policy::selects).count();
  }

  /** Returns what a policy restricts, in words. */
  static List<String> restricts(Policy policy) {
    List<String> restricts = new ArrayList<>();
    for (Direction direction : Direction.values()) {
      if (policy.rules().containsKey(direction)) {
        restricts.add(direction.key());
      }
    }
    if (!policy.limits().isEmpty()) {
      restricts.add("bandwidth");
    }
    return restricts;
  }

  private static ArrayNode json(Collection<KnownPolicy> all, PolicyState state) {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    for (KnownPolicy it : all) {
      ObjectNode object = array.addObject().put("name", it.name());
      it.file().ifPresent(file -> object.put("file", file.toString()));
      object.put("selects", selected(it.policy(), state));
      ArrayNode restricts = object.putArray("restricts");
      restricts(it.policy()).forEach(restricts::add);
      object.put("inForce", it.inForce().isPresent());
      object.put("asInFile", it.isInForce());
      object.put("state", it.describeState());
    }
    return array;
  }
}
