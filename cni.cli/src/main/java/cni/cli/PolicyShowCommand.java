// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.Json;
import cni.netlink.ffm.nftables.PacketCount;
import cni.policy.Direction;
import cni.policy.Endpoint;
import cni.policy.HostPolicies;
import cni.policy.PolicyHits;
import cni.policy.PolicyState;
import cni.policy.file.PolicyJson;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code cni policy show}. */
final class PolicyShowCommand extends Subcommand {
  private final PolicyOptions options = new PolicyOptions(spec());
  private final OptionSpec json =
      flag("--json", "Print the policy, what it selects and its counters as JSON.");
  private final PositionalParamSpec name =
      requiredParameter(0, "NAME").description("Name of the policy.").build();

  PolicyShowCommand() {
    super(
        "Show a policy: what it selects, its rules in words and its counters.",
        "Counters begin when the policy is put in force. A packet that several policies allow counts"
            + " for each of them; one that is denied counts for all policies that restrict the"
            + " container.");
    spec().addOption(json).addPositional(name);
    spec()
        .usageMessage()
        .footerHeading("%nExamples:%n")
        .footer("  cni policy show web", "  cni policy show web --json");
  }

  @Override
  public Integer call() throws CniException {
    return options.run(this::show);
  }

  private int show(HostPolicies policies) throws CniException {
    PolicyState state = policies.state();
    KnownPolicy policy =
        KnownPolicy.require(name.getValue(), KnownPolicy.all(state, policies.readDirectory()));
    List<Endpoint> selected =
        state.endpoints().values().stream()
            .filter(policy.policy()::selects)
            .sorted(Comparator.comparing(it -> PolicyText.name(it.id())))
            .toList();
    Optional<PolicyHits> hits =
        policy.inForce().isPresent() && !state.endpoints().isEmpty()
            ? Optional.ofNullable(policies.hits().get(policy.name()))
            : Optional.empty();
    boolean asJson = json.getValue();
    if (asJson) {
      Json.print(json(policy, selected, hits), System.out);
    } else {
      print(policy, selected, hits);
    }
    PolicyOptions.warnOfDamage(policies);
    return 0;
  }

  private static void print(
      KnownPolicy policy, List<Endpoint> selected, Optional<PolicyHits> hits) {
    System.out.println(
        "policy "
            + policy.name()
            + ", "
            + policy.describeState()
            + policy.file().map(it -> " (" + it + ")").orElse(""));
    PolicyText.lines(policy.policy()).forEach(it -> System.out.println("  " + it));
    System.out.println();
    System.out.println("selects " + PolicyText.selection(policy.policy()) + ": " + selected.size());
    var attachments = new TextTable();
    for (Endpoint it : selected) {
      attachments.row(
          "  " + PolicyText.name(it.id()),
          PolicyText.addresses(it),
          PolicyText.labels(it.labels()));
    }
    attachments.print(System.out);
    if (hits.isPresent()) {
      System.out.println();
      printHits(policy, hits.get());
    }
  }

  private static void printHits(KnownPolicy policy, PolicyHits hits) {
    var table = new TextTable();
    table.row("PACKETS (BYTES)", "ALLOWED", "DENIED", "ABOVE THE LIMIT");
    for (Direction direction : Direction.values()) {
      boolean restricts = policy.policy().rules().containsKey(direction);
      boolean limits = policy.policy().limits().containsKey(direction);
      if (restricts || limits) {
        table.row(
            PolicyText.name(direction),
            restricts ? text(hits.allowed(), direction) : "-",
            restricts ? text(hits.denied(), direction) : "-",
            limits ? text(hits.limited(), direction) : "-");
      }
    }
    table.print(System.out);
  }

  private static String text(Map<Direction, PacketCount> counts, Direction direction) {
    PacketCount count = counts.getOrDefault(direction, PacketCount.ZERO);
    return count.packets() + " (" + count.bytes() + ")";
  }

  private static ObjectNode json(
      KnownPolicy policy, List<Endpoint> selected, Optional<PolicyHits> hits) {
    ObjectNode object = Json.object();
    object.set("policy", PolicyJson.of(policy.policy()));
    policy.file().ifPresent(it -> object.put("file", it.toString()));
    object.put("inForce", policy.inForce().isPresent());
    object.put("asInFile", policy.isInForce());
    ArrayNode attachments = object.putArray("attachments");
    selected.forEach(it -> attachments.add(json(it)));
    hits.ifPresent(
        it -> {
          ObjectNode counters = object.putObject("counters");
          Map<String, Map<Direction, PacketCount>> kinds = new LinkedHashMap<>();
          kinds.put("allowed", it.allowed());
          kinds.put("denied", it.denied());
          kinds.put("limited", it.limited());
          kinds.forEach((kind, counts) -> put(counters.putObject(kind), counts));
        });
    return object;
  }

  /** Returns an attachment as JSON. */
  static ObjectNode json(Endpoint endpoint) {
    ObjectNode object = Json.object();
    object.put("network", endpoint.id().network());
    object.put("containerId", endpoint.id().containerId());
    object.put("ifName", endpoint.id().ifname());
    ArrayNode addresses = object.putArray("addresses");
    endpoint.addresses().forEach(it -> addresses.add(it.toString()));
    ObjectNode labels = object.putObject("labels");
    new TreeMap<>(endpoint.labels()).forEach(labels::put);
    return object;
  }

  private static void put(ObjectNode object, Map<Direction, PacketCount> counts) {
    for (Direction direction : Direction.values()) {
      PacketCount count = counts.getOrDefault(direction, PacketCount.ZERO);
      object
          .putObject(PolicyText.name(direction))
          .put("packets", count.packets())
          .put("bytes", count.bytes());
    }
  }
}
