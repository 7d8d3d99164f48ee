// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.policy.Decision;
import cni.policy.Decision.Verdict;
import cni.policy.Direction;
import cni.policy.Flow;
import cni.policy.HostPolicies;
import cni.policy.Party;
import cni.policy.PolicyEvaluator;
import cni.policy.PolicyState;
import cni.policy.Protocol;
import cni.policy.file.PolicyFiles;
import cni.policy.file.Problem;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code cni policy explain}. */
final class PolicyExplainCommand extends Subcommand {
  private static final int DENIED = 1;
  private static final int FAILURE = 2;

  private final PolicyOptions options = new PolicyOptions(spec());

  private final OptionSpec protocol =
      choiceOption(List.of("tcp", "udp", "sctp", "icmp"), "-p", "--protocol")
          .defaultValue("tcp")
          .paramLabel("PROTOCOL")
          .description("tcp, udp, sctp or icmp; default: ${DEFAULT-VALUE}.")
          .build();

  private final OptionSpec network =
      OptionSpec.builder("--network")
          .type(String.class)
          .initialValue("")
          .paramLabel("NAME")
          .description("Network of the containers that are given by labels.")
          .build();

  private final OptionSpec files =
      flag("--files", "Decide by the policies of the files instead of those in force.");

  private final OptionSpec json = flag("--json", "Print JSON.");

  private final PositionalParamSpec source =
      requiredParameter(0, "SOURCE")
          .description(
              "Who opens the connection: NETWORK/CONTAINER[/IFNAME], a container's id or its"
                  + " beginning, an address, or labels a=b,c=d of a container that need not exist.")
          .build();

  private final PositionalParamSpec destination =
      requiredParameter(1, "DESTINATION[:PORT]")
          .description(
              "Who is asked: as SOURCE, with a port's number or name; [fd00::1]:80 for IPv6."
                  + " Without a port, only rules for every port allow it.")
          .build();

  PolicyExplainCommand() {
    super(
        "Explain which rule allows or denies a connection, and what would allow it.",
        "A connection needs the permission of the source's egress policies and of the destination's"
            + " ingress policies; replies to it are always allowed.");
    List.of(protocol, network, files, json).forEach(spec()::addOption);
    spec().addPositional(source).addPositional(destination);
    spec()
        .usageMessage()
        .footerHeading("%nExit status:%n")
        .footer(
            "  0  allowed",
            "  1  denied",
            "  2  failure",
            "",
            "Examples:",
            "  cni policy explain mynet/blue mynet/green:80",
            "  cni policy explain -p udp app=client 10.1.0.3:53",
            "  cni policy explain 2001:db8::1 '[fd00::2]:443'",
            "  cni policy explain --files app=client app=web:80");
  }

  /** The decision about one flow. */
  private record Explained(Flow flow, Decision decision) {}

  @Override
  public Integer call() {
    try {
      return options.run(this::explain);
    } catch (CniException e) {
      int _ = ErrorReporter.report(e);
      return FAILURE;
    }
  }

  private int explain(HostPolicies policies) throws CniException {
    Protocol asked = protocol();
    PolicyState state = state(policies);
    PolicyEvaluator evaluator = policies.evaluator(state);
    var parties = new ExplainedParties(state, evaluator, network.<String>getValue());
    List<Party> sources = parties.parse(source.getValue());
    var given = ExplainedParties.Destination.parse(destination.<String>getValue());
    List<Party> destinations = parties.parse(given.party());
    int port = ExplainedParties.port(given.port(), asked, destinations);
    List<Explained> explained = new ArrayList<>();
    for (Flow flow : flows(sources, destinations, asked, port)) {
      explained.add(new Explained(flow, evaluator.decide(flow)));
    }
    boolean asJson = json.getValue();
    if (asJson) {
      Json.print(json(explained), System.out);
    } else {
      explained.forEach(PolicyExplainCommand::print);
    }
    PolicyOptions.warnOfDamage(policies);
    return explained.stream().allMatch(it -> it.decision().isAllowed()) ? 0 : DENIED;
  }

  private Protocol protocol() {
    return Protocol.valueOf(protocol.<String>getValue().toUpperCase(Locale.ROOT));
  }

  private PolicyState state(HostPolicies policies) throws CniException {
    PolicyState state = policies.state();
    boolean fromFiles = files.getValue();
    if (!fromFiles) {
      return state;
    }
    PolicyFiles read = policies.readDirectory();
    if (!read.problems().isEmpty()) {
      throw new CniException(ErrorCode.INVALID_CONFIG, Problem.join(read.problems()));
    }
    return state.withPolicies(read.policies());
  }

  private static List<Flow> flows(
      List<Party> sources, List<Party> destinations, Protocol protocol, int port)
      throws CniException {
    List<Flow> flows = new ArrayList<>();
    for (Party from : sources) {
      for (Party to : destinations) {
        if (isV4(from) == isV4(to)) {
          flows.add(new Flow(from, to, protocol, port));
        }
      }
    }
    if (flows.isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER, "SOURCE and DESTINATION have no IP version in common");
    }
    Flow first = flows.getFirst();
    boolean isInvented =
        ExplainedParties.isHypothetical(first.source())
            && ExplainedParties.isHypothetical(first.destination());
    return isInvented ? List.of(first) : flows;
  }

  private static boolean isV4(Party party) {
    return InetAddresses.isV4(party.address());
  }

  private static void print(Explained it) {
    Flow flow = it.flow();
    System.out.println(
        "%s from %s to %s: %s"
            .formatted(
                service(flow),
                describe(flow.source()),
                describe(flow.destination()),
                it.decision().isAllowed() ? "allowed" : "denied"));
    System.out.println("  " + describe(it.decision().egress(), flow.source(), flow));
    System.out.println("  " + describe(it.decision().ingress(), flow.destination(), flow));
    it.decision()
        .remedies()
        .forEach(remedy -> System.out.println("  to allow it: " + remedy.text()));
    if (flow.destination() instanceof Party.Host) {
      System.out.println(
          "  a port that is published there leads to a container: ask about that container and its"
              + " port");
    }
  }

  private static String service(Flow flow) {
    Protocol protocol = flow.knownProtocol().orElseThrow();
    return protocol
        + (flow.port() > 0 ? " " + flow.port() : protocol.hasPorts() ? " (every port)" : "");
  }

  private static String describe(Party party) {
    String address = InetAddresses.format(party.address());
    return switch (party) {
      case Party.Container it ->
          ExplainedParties.isHypothetical(party)
              ? "a container with " + PolicyText.labels(it.endpoint().labels())
              : "%s (%s, %s)"
                  .formatted(
                      PolicyText.name(it.endpoint().id()),
                      address,
                      PolicyText.labels(it.endpoint().labels()));
      case Party.Host _ -> address + " (this host)";
      case Party.Outside _ -> address + " (no container of this host with policies)";
    };
  }

  private static String describe(Verdict verdict, Party side, Flow flow) {
    String direction = PolicyText.name(verdict.direction());
    if (!(side instanceof Party.Container)) {
      return direction + ": not restricted, policies are for containers";
    }
    if (flow.source() instanceof Party.Host && verdict.direction() == Direction.INGRESS) {
      return direction + ": allowed, as all that this host itself sends";
    }
    if (!verdict.isRestricted()) {
      return direction + ": not restricted, no policy for it selects the container";
    }
    return verdict
        .allowedBy()
        .map(rule -> direction + ": allowed by " + rule)
        .orElseGet(
            () ->
                "%s: denied, no rule of %s allows it"
                    .formatted(direction, String.join(", ", verdict.restrictedBy())));
  }

  private static ObjectNode json(List<Explained> explained) {
    ObjectNode object = Json.object();
    object.put("allowed", explained.stream().allMatch(it -> it.decision().isAllowed()));
    ArrayNode flows = object.putArray("flows");
    for (Explained it : explained) {
      Flow flow = it.flow();
      ObjectNode node = flows.addObject();
      node.set("source", json(flow.source()));
      node.set("destination", json(flow.destination()));
      flow.knownProtocol().ifPresent(p -> node.put("protocol", p.name().toLowerCase(Locale.ROOT)));
      if (flow.port() > 0) {
        node.put("port", flow.port());
      }
      node.put("allowed", it.decision().isAllowed());
      node.set("egress", json(it.decision().egress()));
      node.set("ingress", json(it.decision().ingress()));
    }
    return object;
  }

  private static ObjectNode json(Party party) {
    if (!(party instanceof Party.Container container)) {
      return Json.object()
          .put("address", InetAddresses.format(party.address()))
          .put("isHost", party instanceof Party.Host);
    }
    if (ExplainedParties.isHypothetical(party)) {
      ObjectNode labels = Json.object();
      container.endpoint().labels().forEach(labels::put);
      ObjectNode node = Json.object();
      node.set("labels", labels);
      return node;
    }
    return PolicyShowCommand.json(container.endpoint())
        .put("address", InetAddresses.format(party.address()));
  }

  private static ObjectNode json(Verdict verdict) {
    ObjectNode node = Json.object();
    node.put("allowed", verdict.isAllowed());
    ArrayNode restrictedBy = node.putArray("restrictedBy");
    verdict.restrictedBy().forEach(restrictedBy::add);
    verdict.allowedBy().ifPresent(it -> node.put("policy", it.policy()).put("rule", it.index()));
    Optional<Decision.Remedy> remedy = verdict.remedy();
    remedy.ifPresent(it -> node.put("remedy", it.text()));
    return node;
  }
}
