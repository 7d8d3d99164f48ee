// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.api.Cidr;
import cni.policy.Direction;
import cni.policy.Endpoint;
import cni.policy.Endpoint.NamedPort;
import cni.policy.Peer;
import cni.policy.Policy;
import cni.policy.PolicyState;
import cni.policy.PortMatch;
import cni.policy.Protocol;
import cni.policy.RateLimit;
import cni.policy.Selector;
import cni.policy.TrafficRule;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;

/** Random states of few labels, addresses and ports, so that everything meets and overlaps. */
final class RandomState {
  private static final List<String> VALUES = List.of("red", "green", "blue");
  private static final List<String> KEYS = List.of("app", "tier");
  private static final List<String> NETWORKS = List.of("one", "two", "routed");
  private static final List<String> PORT_NAMES = List.of("http", "dns");
  private static final int[] PORTS = {1, 53, 80, 81, 90, 443, 65535};
  private static final String[] CIDRS = {
    "0.0.0.0/0",
    "10.9.0.0/24",
    "10.9.0.0/29",
    "10.9.0.128/25",
    "10.8.0.0/16",
    "192.0.2.7/32",
    "::/0",
    "fd09::/64",
    "fd09::/125",
    "2001:db8::/32",
    "2001:db8::7/128"
  };

  private final Random random;

  RandomState(long seed) {
    random = new Random(seed);
  }

  int below(int bound) {
    return random.nextInt(bound);
  }

  <T> T any(List<T> list) {
    return list.get(random.nextInt(list.size()));
  }

  PolicyState state(int policies, int endpoints) {
    PolicyState state = PolicyState.EMPTY;
    for (int i = 0; i < policies; i++) {
      state = with(state, policy("policy" + i));
    }
    for (int i = 0; i < endpoints; i++) {
      state = with(state, endpoint(i));
    }
    return state;
  }

  /** Returns a state that differs in one thing. */
  PolicyState change(PolicyState state) {
    return switch (below(7)) {
      case 0, 1 -> with(state, policy("policy" + below(8)));
      case 2 -> without(state, "policy" + below(8));
      case 3, 4 -> with(state, endpoint(below(12)));
      case 5 -> without(state, endpoint(below(12)).id());
      default -> withGuards(state);
    };
  }

  private PolicyState withGuards(PolicyState state) {
    Set<PolicyState.Guard> guards = new HashSet<>();
    for (int i = below(4); i > 0; i--) {
      Cidr prefix = Cidr.parse(CIDRS[1 + below(CIDRS.length - 1)]);
      guards.add(
          new PolicyState.Guard(
              prefix, random.nextBoolean() ? Optional.of("br0") : Optional.empty()));
    }
    Set<String> exempt = random.nextBoolean() ? Set.of() : Set.of("veth" + below(12), "vethx");
    return new PolicyState(state.policies(), state.endpoints(), guards, exempt);
  }

  static PolicyState with(PolicyState state, Policy policy) {
    Map<String, Policy> policies = new TreeMap<>();
    state.policies().forEach(it -> policies.put(it.name(), it));
    policies.put(policy.name(), policy);
    return new PolicyState(
        List.copyOf(policies.values()), state.endpoints(), state.guards(), state.exempt());
  }

  static PolicyState without(PolicyState state, String policy) {
    List<Policy> policies =
        state.policies().stream().filter(it -> !it.name().equals(policy)).toList();
    return new PolicyState(policies, state.endpoints(), state.guards(), state.exempt());
  }

  static PolicyState with(PolicyState state, Endpoint endpoint) {
    Map<Endpoint.Id, Endpoint> endpoints = new HashMap<>(state.endpoints());
    endpoints.put(endpoint.id(), endpoint);
    return new PolicyState(state.policies(), endpoints, state.guards(), state.exempt());
  }

  static PolicyState without(PolicyState state, Endpoint.Id id) {
    Map<Endpoint.Id, Endpoint> endpoints = new HashMap<>(state.endpoints());
    endpoints.remove(id);
    return new PolicyState(state.policies(), endpoints, state.guards(), state.exempt());
  }

  /** Numbers 10 and 11 have the address of number 9, as an endpoint that was not removed has. */
  Endpoint endpoint(int number) {
    int host = 2 + Math.min(number, 9);
    String network = NETWORKS.get(host % NETWORKS.size());
    Optional<String> bridge =
        network.equals("routed")
            ? Optional.empty()
            : Optional.of(network.equals("one") ? "br0" : "br1");
    List<Cidr> addresses =
        List.of(
            Cidr.parse("10.9.0." + host + "/24"),
            Cidr.parse("fd09::" + Integer.toHexString(host) + "/64"));
    Map<String, NamedPort> ports = new HashMap<>();
    for (String name : PORT_NAMES) {
      if (random.nextBoolean()) {
        ports.put(name, new NamedPort(protocol(), PORTS[below(PORTS.length)]));
      }
    }
    return new Endpoint(
        new Endpoint.Id(network, "container" + number, "eth0"),
        labels(),
        ports,
        random.nextInt(5) == 0 ? addresses.subList(0, 1) : addresses,
        "veth" + number,
        bridge);
  }

  private Map<String, String> labels() {
    Map<String, String> labels = new HashMap<>();
    for (String key : KEYS) {
      if (random.nextInt(3) > 0) {
        labels.put(key, any(VALUES));
      }
    }
    return labels;
  }

  private Protocol protocol() {
    return any(List.of(Protocol.TCP, Protocol.UDP, Protocol.SCTP));
  }

  Policy policy(String name) {
    Map<Direction, List<TrafficRule>> rules = new HashMap<>();
    Map<Direction, RateLimit> limits = new HashMap<>();
    for (Direction direction : Direction.values()) {
      if (random.nextInt(3) > 0) {
        rules.put(direction, some(3, this::rule));
      }
      if (random.nextInt(6) == 0) {
        limits.put(direction, new RateLimit(8_000_000L * (1 + below(3)), 80_000));
      }
    }
    return new Policy(name, selector(), networks(), rules, limits);
  }

  private Set<String> networks() {
    return random.nextInt(4) > 0 ? Set.of() : Set.copyOf(some(2, () -> any(NETWORKS)));
  }

  private Selector selector() {
    Map<String, String> labels = random.nextBoolean() ? Map.of(any(KEYS), any(VALUES)) : Map.of();
    List<Selector.Requirement> requirements = new ArrayList<>();
    if (random.nextInt(4) == 0) {
      Selector.Operator operator = any(List.of(Selector.Operator.values()));
      Set<String> values =
          operator == Selector.Operator.IN || operator == Selector.Operator.NOT_IN
              ? Set.of(any(VALUES))
              : Set.of();
      requirements.add(new Selector.Requirement(any(KEYS), operator, values));
    }
    return new Selector(labels, requirements);
  }

  private TrafficRule rule() {
    return new TrafficRule(some(2, this::peer), some(3, this::port));
  }

  private Peer peer() {
    if (random.nextBoolean()) {
      return new Peer.Group(selector(), networks());
    }
    Cidr cidr = Cidr.parse(CIDRS[below(CIDRS.length)]);
    List<Cidr> except = new ArrayList<>();
    for (String text : CIDRS) {
      Cidr hole = Cidr.parse(text);
      if (hole.isV4() == cidr.isV4()
          && hole.prefix() > cidr.prefix()
          && cidr.contains(hole.address())
          && random.nextInt(4) == 0) {
        except.add(hole);
      }
    }
    return new Peer.Block(cidr, except);
  }

  private PortMatch port() {
    int first = PORTS[below(PORTS.length)];
    return switch (below(5)) {
      case 0 -> new PortMatch.All(any(List.of(Protocol.values())));
      case 1 -> new PortMatch.Named(protocol(), any(PORT_NAMES));
      case 2 -> new PortMatch.Range(protocol(), first, Math.min(65535, first + below(40)));
      default -> new PortMatch.Range(protocol(), first, first);
    };
  }

  private <T> List<T> some(int max, java.util.function.Supplier<T> supplier) {
    List<T> list = new ArrayList<>();
    for (int i = below(max + 1); i > 0; i--) {
      list.add(supplier.get());
    }
    return list;
  }
}
