// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.Cidr;
import cni.api.InetAddresses;
import cni.policy.Selector.Operator;
import cni.policy.Selector.Requirement;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.Supplier;

/** Makes random policies and attachments, of so few labels, ports and addresses that they meet. */
public final class RandomPolicies {
  private static final List<String> KEYS = List.of("app", "tier", "x.y/z");
  private static final List<String> VALUES = List.of("a", "b", "");
  private static final List<String> NETWORKS = List.of("red", "blue");
  private static final List<String> PORT_NAMES = List.of("http", "dns");

  private final Random random;

  public RandomPolicies(long seed) {
    random = new Random(seed);
  }

  <T> T pick(List<T> choices) {
    return choices.get(random.nextInt(choices.size()));
  }

  private <T> List<T> some(int max, Supplier<T> source) {
    List<T> list = new ArrayList<>();
    for (int i = random.nextInt(max + 1); i > 0; i--) {
      list.add(source.get());
    }
    return list;
  }

  PolicyState state(int policies, int endpoints) {
    List<Policy> all = new ArrayList<>();
    for (int i = 0; i < policies; i++) {
      all.add(policy("p%03d".formatted(i)));
    }
    Map<Endpoint.Id, Endpoint> attachments = new LinkedHashMap<>();
    for (int i = 1; i <= endpoints; i++) {
      Endpoint endpoint = endpoint(i);
      attachments.put(endpoint.id(), endpoint);
    }
    return new PolicyState(all, attachments, Set.of(), Set.of());
  }

  public Policy policy(String name) {
    Map<Direction, List<TrafficRule>> rules = new EnumMap<>(Direction.class);
    Map<Direction, RateLimit> limits = new EnumMap<>(Direction.class);
    for (Direction direction : Direction.values()) {
      if (random.nextBoolean()) {
        rules.put(direction, some(3, this::rule));
      }
      if (random.nextInt(4) == 0 || (rules.isEmpty() && direction == Direction.EGRESS)) {
        limits.put(direction, new RateLimit(8 + random.nextInt(1000), RateLimit.MIN_BURST));
      }
    }
    return new Policy(name, selector(), networks(), rules, limits);
  }

  private TrafficRule rule() {
    return new TrafficRule(some(2, this::peer), some(2, this::port));
  }

  private Peer peer() {
    if (random.nextInt(3) > 0) {
      return new Peer.Group(selector(), networks());
    }
    List<String> ranges = List.of("10.0.0.0/8", "10.0.0.0/28", "0.0.0.0/0", "fd00::/8", "::/0");
    Cidr cidr = Cidr.parse(pick(ranges));
    int bits = InetAddresses.bits(cidr.address());
    List<Cidr> except =
        some(2, () -> new Cidr(address(cidr.isV4(), random.nextInt(20)), bits - random.nextInt(3)))
            .stream()
            .map(Cidr::network)
            .filter(it -> cidr.contains(it.address()) && it.prefix() > cidr.prefix())
            .toList();
    return new Peer.Block(cidr, except);
  }

  private PortMatch port() {
    Protocol protocol = protocol();
    if (!protocol.hasPorts() || random.nextInt(4) == 0) {
      return new PortMatch.All(protocol);
    }
    if (random.nextInt(3) == 0) {
      return new PortMatch.Named(protocol, pick(PORT_NAMES));
    }
    int first = portNumber();
    return new PortMatch.Range(protocol, first, first + random.nextInt(3));
  }

  Protocol protocol() {
    return pick(List.of(Protocol.values()));
  }

  int portNumber() {
    return 1 + random.nextInt(6);
  }

  private Selector selector() {
    return new Selector(labels(1), some(1, this::requirement));
  }

  private Requirement requirement() {
    Operator operator = pick(List.of(Operator.values()));
    boolean hasValues = operator == Operator.IN || operator == Operator.NOT_IN;
    return new Requirement(pick(KEYS), operator, hasValues ? Set.of(pick(VALUES)) : Set.of());
  }

  private Map<String, String> labels(int max) {
    Map<String, String> labels = new HashMap<>();
    some(max, () -> pick(KEYS)).forEach(key -> labels.put(key, pick(VALUES)));
    return labels;
  }

  private Set<String> networks() {
    return random.nextInt(4) == 0 ? new HashSet<>(List.of(pick(NETWORKS))) : Set.of();
  }

  private Endpoint endpoint(int number) {
    Map<String, Endpoint.NamedPort> ports = new HashMap<>();
    some(2, () -> pick(PORT_NAMES))
        .forEach(
            name ->
                ports.put(
                    name,
                    new Endpoint.NamedPort(
                        pick(List.of(Protocol.TCP, Protocol.UDP)), portNumber())));
    return new Endpoint(
        new Endpoint.Id(pick(NETWORKS), "c" + number, "eth0"),
        labels(3),
        ports,
        List.of(new Cidr(address(true, number), 16), new Cidr(address(false, number), 64)),
        "veth" + number,
        Optional.of("br0"));
  }

  /** Returns the address of the attachment with a number. */
  static InetAddress address(boolean v4, int number) {
    return InetAddresses.parse(
        v4
            ? "10.0.%d.%d".formatted(number >> 8, number & 0xff)
            : "fd00::" + Integer.toHexString(number));
  }

  /** Returns the address of an attachment, another one, or a link-local one. */
  InetAddress anyAddress(boolean v4, int endpoints) {
    return switch (random.nextInt(12)) {
      case 0 -> InetAddresses.parse(v4 ? "192.0.2.1" : "2001:db8::1");
      case 1 -> InetAddresses.parse(v4 ? "10.9.9.9" : "fe80::1");
      case 2 -> InetAddresses.parse(v4 ? "10.0.0.254" : "fd00::fffe");
      default -> address(v4, 1 + random.nextInt(endpoints));
    };
  }
}
