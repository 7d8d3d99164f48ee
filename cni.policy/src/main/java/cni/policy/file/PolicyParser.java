// SPDX-License-Identifier: Apache-2.0
package cni.policy.file;

import cni.api.internal.Suggestions;
import cni.policy.Direction;
import cni.policy.Labels;
import cni.policy.Policy;
import cni.policy.RateLimit;
import cni.policy.Selector;
import cni.policy.Selector.Requirement;
import cni.policy.TrafficRule;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.stream.Collectors;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads the policies of a document: one, a list of them, or a List of Kubernetes. Each is either of
 * our form or a manifest of Kubernetes, kind NetworkPolicy.
 */
final class PolicyParser {
  /** The largest length of a name: names of chains and limits, up to 255 long, are made of it. */
  private static final int MAX_NAME = 240;

  /** The largest burst whose number of bytes fits the kernel's 32 bits. */
  static final long MAX_BURST = 8 * 0xffff_ffffL - 1;

  /**
   * The largest sum of a rate and a burst. The kernel multiplies it, in bytes, by the nanoseconds
   * of a second, in 64 bits (nft_limit_init in net/netfilter/nft_limit.c).
   */
  static final long MAX_RATE_AND_BURST = Byte.SIZE * Long.divideUnsigned(-1, 1_000_000_000);

  /** The default burst is what the rate allows in a tenth of a second, and at least 128 KiB. */
  private static final long MIN_DEFAULT_BURST = 2 * RateLimit.MIN_BURST;

  private static final long MAX_RATE = MAX_RATE_AND_BURST - MIN_DEFAULT_BURST;

  private static final String API_VERSION = "networking.k8s.io/v1";
  private static final String KIND = "NetworkPolicy";

  private static final List<String> MANIFEST_KEYS =
      List.of("apiVersion", "kind", "metadata", "spec", "status");
  private static final List<String> LIST_KEYS = List.of("apiVersion", "kind", "metadata", "items");
  private static final List<String> SPEC_KEYS =
      List.of("podSelector", "networks", "policyTypes", "ingress", "egress", "bandwidth");
  private static final List<String> KEYS =
      List.of("name", "podSelector", "networks", "policyTypes", "ingress", "egress", "bandwidth");
  private static final List<String> RATE_KEYS =
      List.of("ingressRate", "ingressBurst", "egressRate", "egressBurst");
  private static final List<String> TYPES =
      Arrays.stream(Direction.values()).map(Direction::keyword).toList();

  private final ProblemCollector problems;

  PolicyParser(ProblemCollector problems) {
    this.problems = problems;
  }

  /**
   * A policy with the path of its name.
   *
   * @param nameKey for problems with the name
   */
  record Named(Policy policy, String nameKey) {}

  /** Reads a document; leaves out the policies that have a problem. */
  List<Named> read(JsonNode document) {
    List<Named> policies = new ArrayList<>();
    readAny(document, "", policies);
    return policies;
  }

  private void readAny(JsonNode node, String path, List<Named> policies) {
    if (node instanceof ArrayNode array && path.isEmpty()) {
      readList(array, "", policies);
    } else if (!(node instanceof ObjectNode object)) {
      problems.add(path, node, "must be a policy, which is an object");
    } else if (path.isEmpty() && object.has("items")) {
      var list = new StrictObject(object, path, problems);
      list.requireKeys(LIST_KEYS);
      if (object.get("items") instanceof ArrayNode items) {
        readList(items, "items", policies);
      } else {
        list.refuse("items", "must be a list of policies");
      }
    } else {
      readPolicy(new StrictObject(object, path, problems)).ifPresent(policies::add);
    }
  }

  private void readList(ArrayNode list, String path, List<Named> policies) {
    for (int i = 0; i < list.size(); i++) {
      readAny(list.get(i), path + "[" + i + "]", policies);
    }
  }

  private Optional<Named> readPolicy(StrictObject json) {
    int before = problems.count();
    boolean manifest = List.of("apiVersion", "kind", "spec").stream().anyMatch(json::has);
    Optional<Named> policy = manifest ? manifest(json) : plain(json);
    return problems.count() > before ? Optional.empty() : policy;
  }

  private Optional<Named> plain(StrictObject json) {
    json.requireKeys(KEYS);
    Optional<String> name = name(json);
    Policy policy = body(json, name.orElse(""), Optional.empty());
    return Optional.of(new Named(policy, json.path("name")));
  }

  private Optional<Named> manifest(StrictObject json) {
    json.requireKeys(MANIFEST_KEYS);
    requireText(json, "apiVersion", API_VERSION);
    requireText(json, "kind", KIND);
    json.requirePresent("metadata", "it has the policy's name");
    json.requirePresent("spec", "it has the policy's rules");
    Optional<StrictObject> metadata = json.object("metadata");
    Optional<String> name = metadata.flatMap(PolicyParser::name);
    Optional<String> namespace =
        metadata.flatMap(it -> it.text("namespace", PolicyParser::namespaceProblem));
    Optional<StrictObject> spec = json.object("spec");
    if (spec.isEmpty()) {
      return Optional.empty();
    }
    spec.get().requireKeys(SPEC_KEYS);
    String fullName = namespace.map(it -> it + ".").orElse("") + name.orElse("");
    if (fullName.length() > MAX_NAME) {
      json.refuse("metadata", "has a name and namespace of more than " + MAX_NAME + " characters");
    }
    Policy policy = body(spec.get(), fullName, namespace);
    return Optional.of(new Named(policy, json.path("metadata") + ".name"));
  }

  private static void requireText(StrictObject json, String key, String expected) {
    json.requirePresent(key, "a manifest has \"" + expected + "\"");
    json.text(
        key,
        text ->
            text.equals(expected)
                ? Optional.empty()
                : Optional.of("is not supported: only \"" + expected + "\" is"));
  }

  private static Optional<String> name(StrictObject json) {
    json.requirePresent("name", "name the policy");
    return json.text("name", PolicyParser::nameProblem);
  }

  private static Optional<String> nameProblem(String name) {
    return name.length() <= MAX_NAME && Labels.isSubdomain(name)
        ? Optional.empty()
        : Optional.of(
            "is no name of a policy: it must have 1 to "
                + MAX_NAME
                + " lower-case letters, digits, '-' and '.', and begin and end with a letter or"
                + " digit");
  }

  private static Optional<String> namespaceProblem(String name) {
    return Labels.isDnsLabel(name)
        ? Optional.empty()
        : Optional.of(
            "is no name of a namespace: it must have 1 to 63 lower-case letters, digits and '-'");
  }

  private Policy body(StrictObject json, String name, Optional<String> namespace) {
    Set<String> networks = RuleParser.networks(json);
    if (!json.has("networks")) {
      json.requirePresent("podSelector", "{} selects all containers");
    }
    Selector pods = json.object("podSelector").map(SelectorParser::pods).orElse(Selector.ANY);
    List<Requirement> expressions = new ArrayList<>(pods.matchExpressions());
    namespace.map(RuleParser::inNamespace).ifPresent(expressions::add);
    return new Policy(
        name,
        new Selector(pods.matchLabels(), expressions),
        networks,
        rules(json, new RuleParser(namespace)),
        limits(json));
  }

  private static Map<Direction, List<TrafficRule>> rules(StrictObject json, RuleParser parser) {
    Map<Direction, List<TrafficRule>> rules = new EnumMap<>(Direction.class);
    rules.put(Direction.INGRESS, parser.rules(json, "ingress", "from"));
    rules.put(Direction.EGRESS, parser.rules(json, "egress", "to"));
    Set<Direction> types = json.has("policyTypes") ? policyTypes(json) : defaultTypes(json);
    for (Direction direction : Direction.values()) {
      String key = direction.key();
      if (json.has("policyTypes") && json.has(key) && !types.contains(direction)) {
        json.refuse(
            key,
            "has no effect: add \"" + direction.keyword() + "\" to policyTypes, or leave it out");
      }
    }
    rules.keySet().retainAll(types);
    return rules;
  }

  private static Set<Direction> policyTypes(StrictObject json) {
    if (json.isEmptyList("policyTypes")) {
      json.refuse("policyTypes", "must name Ingress, Egress or both; leave it out for the default");
    }
    List<String> types = json.texts("policyTypes", PolicyParser::typeProblem);
    return Arrays.stream(Direction.values())
        .filter(it -> types.contains(it.keyword()))
        .collect(Collectors.toUnmodifiableSet());
  }

  private static Optional<String> typeProblem(String text) {
    return TYPES.contains(text)
        ? Optional.empty()
        : Optional.of("is not a policy type: " + Suggestions.of(text, TYPES));
  }

  /**
   * As Kubernetes: Ingress always, Egress if there are rules for it. There an empty list of egress
   * rules restricts nothing; it is refused here, since it looks as if it denied everything. A
   * policy with only limits restricts nothing.
   */
  private static Set<Direction> defaultTypes(StrictObject json) {
    if (json.has("egress") && json.isEmptyList("egress")) {
      json.refuse("egress", "has no effect without policyTypes: add \"policyTypes\": [\"Egress\"]");
    }
    if (json.has("egress")) {
      return Set.of(Direction.INGRESS, Direction.EGRESS);
    }
    return json.has("bandwidth") && !json.has("ingress") ? Set.of() : Set.of(Direction.INGRESS);
  }

  private static Map<Direction, RateLimit> limits(StrictObject json) {
    Map<Direction, RateLimit> limits = new EnumMap<>(Direction.class);
    Optional<StrictObject> bandwidth = json.object("bandwidth");
    if (bandwidth.isPresent()) {
      bandwidth.get().requireKeys(RATE_KEYS);
      if (bandwidth.get().isEmpty()) {
        json.refuse(
            "bandwidth", "must have ingressRate, egressRate or both; leave it out for none");
      }
      for (Direction direction : Direction.values()) {
        limit(bandwidth.get(), direction.key()).ifPresent(it -> limits.put(direction, it));
      }
    }
    return limits;
  }

  private static Optional<RateLimit> limit(StrictObject json, String direction) {
    String rateKey = direction + "Rate";
    String burstKey = direction + "Burst";
    OptionalLong rate =
        json.number(
            rateKey,
            Byte.SIZE,
            MAX_RATE,
            "must be between %d and %d: its unit is bits per second"
                .formatted(Byte.SIZE, MAX_RATE));
    OptionalLong burst =
        json.number(
            burstKey,
            RateLimit.MIN_BURST,
            MAX_BURST,
            "must be between %d and %d: its unit is bits, and packets have up to 64 KiB before they are cut to the link's size"
                .formatted(RateLimit.MIN_BURST, MAX_BURST));
    if (json.has(burstKey) && !json.has(rateKey)) {
      json.refuse(burstKey, "needs " + rateKey + ", the number of bits per second");
    }
    if (rate.isPresent() && burst.orElse(0) > MAX_RATE_AND_BURST - rate.getAsLong()) {
      json.refuse(
          burstKey,
          "must be at most %d with %s %d: the kernel cannot count to more than their sum"
              .formatted(MAX_RATE_AND_BURST - rate.getAsLong(), rateKey, rate.getAsLong()));
    }
    return rate.isEmpty()
        ? Optional.empty()
        : Optional.of(
            new RateLimit(rate.getAsLong(), burst.orElse(defaultBurst(rate.getAsLong()))));
  }

  private static long defaultBurst(long rate) {
    long tenth = Math.clamp(rate / 10, MIN_DEFAULT_BURST, MAX_BURST);
    return Math.min(tenth, MAX_RATE_AND_BURST - rate);
  }
}
