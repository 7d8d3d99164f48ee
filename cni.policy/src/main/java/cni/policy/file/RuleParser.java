// SPDX-License-Identifier: Apache-2.0
package cni.policy.file;

import cni.api.Cidr;
import cni.api.Names;
import cni.api.internal.Suggestions;
import cni.policy.Labels;
import cni.policy.Peer;
import cni.policy.PortMatch;
import cni.policy.Protocol;
import cni.policy.Selector;
import cni.policy.Selector.Operator;
import cni.policy.Selector.Requirement;
import cni.policy.TrafficRule;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/** Reads the rules of a policy: peers and ports. */
final class RuleParser {
  private static final List<String> PEER_KEYS =
      List.of("podSelector", "namespaceSelector", "networks", "ipBlock");
  private static final List<String> BLOCK_KEYS = List.of("cidr", "except");
  private static final List<String> PORT_KEYS = List.of("protocol", "port", "endPort");
  private static final List<String> PROTOCOLS =
      Arrays.stream(Protocol.values()).map(Protocol::name).toList();

  private static final String PORT_RANGE = "must be a port from 1 to 65535, or the name of one";

  private final Optional<String> namespace;

  /**
   * Creates a parser.
   *
   * @param namespace the namespace of the policy, if it has one: of peers that name none
   */
  RuleParser(Optional<String> namespace) {
    this.namespace = namespace;
  }

  /** Reads a list of rules. */
  List<TrafficRule> rules(StrictObject policy, String key, String peersKey) {
    List<TrafficRule> rules = new ArrayList<>();
    for (StrictObject rule : policy.objects(key)) {
      rule.requireKeys(List.of(peersKey, "ports"));
      List<Peer> peers = new ArrayList<>();
      rule.objects(peersKey).forEach(it -> peer(it).ifPresent(peers::add));
      List<PortMatch> ports = new ArrayList<>();
      rule.objects("ports").forEach(it -> port(it).ifPresent(ports::add));
      rules.add(new TrafficRule(peers, ports));
    }
    return rules;
  }

  private Optional<Peer> peer(StrictObject json) {
    json.requireKeys(PEER_KEYS);
    if (json.has("ipBlock")) {
      if (PEER_KEYS.stream().filter(json::has).count() > 1) {
        json.refuse("has ipBlock and a selector: make two peers of them");
      }
      return json.object("ipBlock").flatMap(RuleParser::block);
    }
    if (PEER_KEYS.stream().noneMatch(json::has)) {
      json.refuse(
          "selects nothing: give it a podSelector, namespaceSelector, networks or ipBlock;"
              + " \"podSelector\": {} selects all containers");
    }
    return Optional.of(group(json));
  }

  private Peer.Group group(StrictObject json) {
    Selector pods = json.object("podSelector").map(SelectorParser::pods).orElse(Selector.ANY);
    List<Requirement> expressions = new ArrayList<>(pods.matchExpressions());
    if (json.has("namespaceSelector")) {
      json.object("namespaceSelector")
          .map(SelectorParser::namespaces)
          .ifPresent(expressions::addAll);
    } else {
      namespace.map(RuleParser::inNamespace).ifPresent(expressions::add);
    }
    return new Peer.Group(new Selector(pods.matchLabels(), expressions), networks(json));
  }

  /** Returns the condition that a container is a pod of a namespace. */
  static Requirement inNamespace(String namespace) {
    return new Requirement(Labels.NAMESPACE, Operator.IN, Set.of(namespace));
  }

  /** Reads a list of names of networks. */
  static Set<String> networks(StrictObject json) {
    List<String> names = json.texts("networks", RuleParser::networkProblem);
    if (json.has("networks") && json.isEmptyList("networks")) {
      json.refuse("networks", "must name a network; leave it out for any network");
    }
    return new HashSet<>(names);
  }

  private static Optional<String> networkProblem(String name) {
    return Names.isIdentifier(name)
        ? Optional.empty()
        : Optional.of(
            "is no name of a network: it must begin with a letter or digit and go on with letters,"
                + " digits, '_', '.' and '-'");
  }

  private static Optional<Peer> block(StrictObject json) {
    json.requireKeys(BLOCK_KEYS);
    json.requirePresent("cidr", "give a range of addresses, such as \"10.1.0.0/16\"");
    List<Cidr> except =
        json.texts("except", RuleParser::cidrProblem).stream().map(Cidr::parse).toList();
    Optional<Cidr> cidr = json.text("cidr", RuleParser::cidrProblem).map(Cidr::parse);
    if (cidr.isEmpty()) {
      return Optional.empty();
    }
    json.texts("except", text -> exceptProblem(text, cidr.get()));
    return Optional.of(new Peer.Block(cidr.get(), except));
  }

  private static Optional<String> cidrProblem(String text) {
    try {
      Cidr cidr = Cidr.parse(text);
      return cidr.equals(cidr.network())
          ? Optional.empty()
          : Optional.of("has bits set behind its prefix: write \"" + cidr.network() + "\"");
    } catch (IllegalArgumentException e) {
      return Optional.of(
          e.getMessage() + ": write a range such as \"10.1.0.0/16\" or \"fd00::/64\"");
    }
  }

  /** As in Kubernetes, an exception must be inside of the range and smaller than it. */
  private static Optional<String> exceptProblem(String text, Cidr cidr) {
    if (cidrProblem(text).isPresent()) {
      return Optional.empty(); // already reported
    }
    Cidr except = Cidr.parse(text);
    return cidr.contains(except.address()) && except.prefix() > cidr.prefix()
        ? Optional.empty()
        : Optional.of(
            "is not a part of cidr \"" + cidr + "\": leave it out, or correct one of them");
  }

  private static Optional<PortMatch> port(StrictObject json) {
    json.requireKeys(PORT_KEYS);
    Optional<String> name = json.text("protocol", RuleParser::protocolProblem);
    if (json.has("protocol") && name.isEmpty()) {
      return Optional.empty();
    }
    Protocol protocol = name.map(Protocol::valueOf).orElse(Protocol.TCP);
    if (!protocol.hasPorts()) {
      for (String key : List.of("port", "endPort")) {
        if (json.has(key)) {
          json.refuse(key, "is not allowed: " + protocol + " has no ports");
        }
      }
      return Optional.of(new PortMatch.All(protocol));
    }
    JsonNode port = json.node("port");
    if (port != null && port.isString()) {
      return named(json, protocol);
    }
    return port == null ? everyPort(json, protocol) : range(json, protocol);
  }

  private static Optional<String> protocolProblem(String text) {
    return PROTOCOLS.contains(text)
        ? Optional.empty()
        : Optional.of("is not a protocol of a rule: " + Suggestions.of(text, PROTOCOLS));
  }

  private static Optional<PortMatch> everyPort(StrictObject json, Protocol protocol) {
    if (json.has("endPort")) {
      json.refuse("endPort", "needs port, the first port of the range");
    }
    return Optional.of(new PortMatch.All(protocol));
  }

  private static Optional<PortMatch> named(StrictObject json, Protocol protocol) {
    if (json.has("endPort")) {
      json.refuse("endPort", "cannot be combined with the name of a port: write port as a number");
    }
    return json.text("port", RuleParser::portNameProblem)
        .map(name -> new PortMatch.Named(protocol, name));
  }

  private static Optional<String> portNameProblem(String text) {
    return text.matches("\\d{1,5}")
        ? Optional.of("is the name of a port: write " + text + " without quotes for its number")
        : Labels.portNameProblem(text);
  }

  private static Optional<PortMatch> range(StrictObject json, Protocol protocol) {
    OptionalLong first = json.number("port", PortMatch.FIRST_PORT, PortMatch.LAST_PORT, PORT_RANGE);
    OptionalLong last =
        json.number(
            "endPort", PortMatch.FIRST_PORT, PortMatch.LAST_PORT, "must be a port from 1 to 65535");
    if (first.isEmpty()) {
      return Optional.empty();
    }
    int port = (int) first.getAsLong();
    int endPort = (int) last.orElse(port);
    if (endPort < port) {
      json.refuse("endPort", "is less than port " + port + ": it is the last port of the range");
    }
    return Optional.of(new PortMatch.Range(protocol, port, Math.max(port, endPort)));
  }
}
