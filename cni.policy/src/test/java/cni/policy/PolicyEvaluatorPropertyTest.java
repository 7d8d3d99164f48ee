// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Cidr;
import cni.api.InetAddresses;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Compares the evaluator with a naive one, on random policies, attachments and connections. */
class PolicyEvaluatorPropertyTest {
  private static final int STATES = 300;
  private static final int FLOWS = 100;
  private static final int ENDPOINTS = 12;
  private static final Set<InetAddress> HOST =
      Set.of(InetAddresses.parse("10.0.0.254"), InetAddresses.parse("fd00::fffe"));

  @Test
  void theEvaluatorDecidesAsANaiveOne() {
    int allowed = 0;
    int forbidden = 0;
    for (int seed = 0; seed < STATES; seed++) {
      var random = new RandomPolicies(seed);
      PolicyState state = random.state(1 + seed % 8, ENDPOINTS);
      var evaluator = PolicyEvaluator.of(state, HOST);
      for (int i = 0; i < FLOWS; i++) {
        boolean v4 = i % 2 == 0;
        InetAddress source = random.anyAddress(v4, ENDPOINTS);
        InetAddress destination = random.anyAddress(v4, ENDPOINTS);
        Protocol protocol = random.protocol();
        int port = random.portNumber();
        boolean expected = new Naive(state, source, destination, protocol, port).isAllowed();
        Decision decision = evaluator.evaluate(source, destination, protocol, port);
        String flow =
            "seed " + seed + ": " + source + " " + destination + " " + protocol + " " + port;
        assertEquals(expected, decision.isAllowed(), flow);
        boolean forbids = evaluator.forbids(source, destination, protocol.number(v4), port);
        assertEquals(!expected, forbids, flow);
        if (expected) {
          allowed++;
        } else {
          forbidden++;
          assertRemedied(state, decision, source, destination, protocol, port, flow);
        }
      }
    }
    assertTrue(Math.min(allowed, forbidden) > STATES * FLOWS / 10, allowed + " " + forbidden);
  }

  /** What the decision recommends allows the connection, and needs nothing that is left out. */
  private static void assertRemedied(
      PolicyState state,
      Decision decision,
      InetAddress source,
      InetAddress destination,
      Protocol protocol,
      int port,
      String flow) {
    Map<String, Policy> policies = new HashMap<>();
    state.policies().forEach(it -> policies.put(it.name(), it));
    for (Decision.Remedy remedy : decision.remedies()) {
      policies.computeIfPresent(remedy.policy(), (_, policy) -> withRule(policy, remedy));
    }
    var changed =
        new PolicyState(
            List.copyOf(policies.values()), state.endpoints(), state.guards(), state.exempt());
    assertTrue(new Naive(changed, source, destination, protocol, port).isAllowed(), flow);
  }

  private static Policy withRule(Policy policy, Decision.Remedy remedy) {
    Map<Direction, List<TrafficRule>> rules = new HashMap<>(policy.rules());
    List<TrafficRule> more = new ArrayList<>(rules.getOrDefault(remedy.direction(), List.of()));
    more.add(remedy.rule());
    rules.put(remedy.direction(), more);
    return new Policy(policy.name(), policy.selector(), policy.networks(), rules, policy.limits());
  }

  /** The definition of Kubernetes' NetworkPolicy, rule by rule. */
  private record Naive(
      PolicyState state, InetAddress source, InetAddress destination, Protocol protocol, int port) {
    boolean isAllowed() {
      return HOST.contains(source) || (allows(Direction.EGRESS) && allows(Direction.INGRESS));
    }

    private @Nullable Endpoint endpoint(InetAddress address) {
      return state.endpoints().values().stream()
          .filter(it -> it.addresses().stream().anyMatch(cidr -> cidr.address().equals(address)))
          .findFirst()
          .orElse(null);
    }

    private boolean allows(Direction direction) {
      Endpoint self = endpoint(direction == Direction.EGRESS ? source : destination);
      InetAddress other = direction == Direction.EGRESS ? destination : source;
      if (self == null) {
        return true;
      }
      List<Policy> restricting =
          state.policies().stream()
              .filter(it -> it.rules().containsKey(direction))
              .filter(it -> it.networks().isEmpty() || it.networks().contains(self.id().network()))
              .filter(it -> matches(it.selector(), self))
              .toList();
      return restricting.isEmpty()
          || restricting.stream()
              .flatMap(it -> it.rules().getOrDefault(direction, List.of()).stream())
              .anyMatch(it -> matchesPeers(it, other) && matchesPorts(it));
    }

    private boolean matchesPeers(TrafficRule rule, InetAddress other) {
      if (rule.peers().isEmpty()) {
        return true;
      }
      return !other.isLinkLocalAddress()
          && rule.peers().stream().anyMatch(it -> matches(it, other));
    }

    private boolean matches(Peer peer, InetAddress other) {
      if (peer instanceof Peer.Group group) {
        Endpoint endpoint = endpoint(other);
        return endpoint != null
            && (group.networks().isEmpty() || group.networks().contains(endpoint.id().network()))
            && matches(group.selector(), endpoint);
      }
      return ((Peer.Block) peer).contains(other);
    }

    private static boolean matches(Selector selector, Endpoint endpoint) {
      Map<String, String> labels = endpoint.labels();
      return selector.matchLabels().entrySet().stream()
              .allMatch(it -> it.getValue().equals(labels.get(it.getKey())))
          && selector.matchExpressions().stream()
              .allMatch(
                  it ->
                      switch (it.operator()) {
                        case IN -> it.values().contains(labels.getOrDefault(it.key(), "none"));
                        case NOT_IN -> !it.values().contains(labels.getOrDefault(it.key(), "none"));
                        case EXISTS -> labels.containsKey(it.key());
                        case DOES_NOT_EXIST -> !labels.containsKey(it.key());
                      });
    }

    private boolean matchesPorts(TrafficRule rule) {
      return rule.ports().isEmpty() || rule.ports().stream().anyMatch(this::matches);
    }

    private boolean matches(PortMatch match) {
      if (match.protocol() != protocol) {
        return false;
      }
      return switch (match) {
        case PortMatch.All _ -> true;
        case PortMatch.Range it -> port >= it.first() && port <= it.last();
        case PortMatch.Named it -> {
          Endpoint endpoint = endpoint(destination);
          yield endpoint != null
              && new Endpoint.NamedPort(protocol, port).equals(endpoint.ports().get(it.name()));
        }
      };
    }
  }

  /**
   * Every attachment is restricted by ten policies in each direction. The bound is far above what
   * it takes (20 ms), since the machine may be loaded.
   */
  @Test
  void tenThousandFlowsAreEvaluatedQuickly() {
    int endpoints = 1000;
    PolicyState state = crowd(100, endpoints);
    var random = new RandomPolicies(1);
    List<InetAddress> addresses = new ArrayList<>();
    for (int i = 0; i < 20_000; i++) {
      addresses.add(random.anyAddress(true, endpoints));
    }
    long best = Long.MAX_VALUE;
    int forbidden = 0;
    for (int run = 0; run < 20; run++) {
      long start = System.nanoTime();
      var evaluator = PolicyEvaluator.of(state, HOST);
      forbidden = 0;
      for (int i = 0; i < addresses.size(); i += 2) {
        InetAddress destination = addresses.get(i + 1);
        forbidden += evaluator.forbids(addresses.get(i), destination, 6, 1000 + i % 10) ? 1 : 0;
      }
      best = Math.min(best, System.nanoTime() - start);
    }
    long millis = best / 1_000_000;
    assertTrue(forbidden > 5000 && forbidden < 10_000, "forbidden: " + forbidden);
    assertTrue(millis < 1000, millis + " ms");
  }

  private static PolicyState crowd(int policies, int endpoints) {
    List<Policy> all = new ArrayList<>();
    for (int i = 0; i < policies; i++) {
      Peer peer = new Peer.Group(new Selector(Map.of("app", "a" + i), List.of()), Set.of());
      Peer block = new Peer.Block(Cidr.parse("10.0.%d.0/25".formatted(i % 4)), List.of());
      PortMatch port = new PortMatch.Range(Protocol.TCP, 1000 + i / 10, 1001 + i / 10);
      var rule = new TrafficRule(List.of(peer, block), List.of(port));
      var selector = new Selector(Map.of("tier", "t" + i % 10), List.of());
      List<TrafficRule> rules = List.of(rule, rule);
      Map<Direction, List<TrafficRule>> both =
          Map.of(Direction.INGRESS, rules, Direction.EGRESS, rules);
      all.add(new Policy("p%03d".formatted(i), selector, Set.of(), both, Map.of()));
    }
    Map<Endpoint.Id, Endpoint> attachments = new HashMap<>();
    for (int i = 1; i <= endpoints; i++) {
      var id = new Endpoint.Id("net", "c" + i, "eth0");
      Map<String, String> labels = Map.of("app", "a" + i % 100, "tier", "t" + i % 10, "n", "n" + i);
      List<Cidr> addresses = List.of(new Cidr(RandomPolicies.address(true, i), 16));
      attachments.put(
          id, new Endpoint(id, labels, Map.of(), addresses, "veth" + i, Optional.of("br0")));
    }
    return new PolicyState(all, attachments, Set.of(), Set.of());
  }
}
