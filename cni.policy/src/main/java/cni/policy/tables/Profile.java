// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.NamedSet;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.TableContent.ChainContent;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.nftables.Userdata;
import cni.policy.Direction;
import cni.policy.Endpoint;
import cni.policy.Peer;
import cni.policy.Policy;
import cni.policy.PortMatch;
import cni.policy.TrafficRule;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The policies that restrict some containers in one direction, as one chain with its sets. All
 * containers that the same policies select share it.
 */
final class Profile {
  private final Direction direction;
  private final List<Policy> policies;
  private final Map<PortMatch.Named, Integer> ports;
  private final String chain;
  private @Nullable Shape shape;

  /** The sets that a profile needs: those that its rules may have elements in. */
  private static final class Shape {
    final Set<ProfileSet> sets4 = EnumSet.noneOf(ProfileSet.class);
    final Set<ProfileSet> sets6 = EnumSet.noneOf(ProfileSet.class);

    Set<ProfileSet> sets(boolean isV4) {
      return isV4 ? sets4 : sets6;
    }
  }

  private Profile(Direction direction, List<Policy> policies, Map<PortMatch.Named, Integer> ports) {
    this.direction = direction;
    this.policies = policies;
    this.ports = ports;
    List<String> texts = new ArrayList<>();
    policies.forEach(policy -> texts.add(policy.name()));
    ports.forEach((named, port) -> texts.add(named.protocol() + " " + named.name() + " " + port));
    chain = (direction == Direction.INGRESS ? "in-" : "out-") + ChainNames.id(texts);
  }

  /** Determined when it is needed: most endpoints have the profile of another one. */
  private Shape shape() {
    Shape known = shape;
    if (known == null) {
      known = new Shape();
      for (TrafficRule rule : rules()) {
        addSets(rule, known);
      }
      shape = known;
    }
    return known;
  }

  /**
   * Returns the profile of an endpoint; empty if no policy restricts it in the direction.
   *
   * @param policies the policies that select it, by name
   */
  static Optional<Profile> of(Endpoint endpoint, Direction direction, List<Policy> policies) {
    List<Policy> restricting =
        policies.stream().filter(it -> it.rules().containsKey(direction)).toList();
    if (restricting.isEmpty()) {
      return Optional.empty();
    }
    Map<PortMatch.Named, Integer> ports =
        direction == Direction.INGRESS ? resolve(restricting, endpoint) : Map.of();
    return Optional.of(new Profile(direction, restricting, ports));
  }

  /** Returns the ports whose names occur in rules for the ingress of an endpoint. */
  private static Map<PortMatch.Named, Integer> resolve(List<Policy> policies, Endpoint endpoint) {
    Map<PortMatch.Named, Integer> ports =
        new TreeMap<>(
            Comparator.comparing(PortMatch.Named::name).thenComparing(PortMatch.Named::protocol));
    for (Policy policy : policies) {
      for (TrafficRule rule : policy.rules().getOrDefault(Direction.INGRESS, List.of())) {
        for (PortMatch port : rule.ports()) {
          if (port instanceof PortMatch.Named named) {
            Endpoint.NamedPort known = endpoint.ports().get(named.name());
            if (known != null && known.protocol() == named.protocol()) {
              ports.put(named, known.port());
            }
          }
        }
      }
    }
    return ports;
  }

  private List<TrafficRule> rules(Policy policy) {
    return policy.rules().getOrDefault(direction, List.of());
  }

  /** Notes the sets that a rule may have elements in, whichever containers there are. */
  private void addSets(TrafficRule rule, Shape shape) {
    boolean hasGroup = rule.peers().stream().anyMatch(Peer.Group.class::isInstance);
    boolean hasNames =
        direction == Direction.EGRESS
            && rule.ports().stream().anyMatch(PortMatch.Named.class::isInstance);
    List<PortMatch.Range> ranges = ranges(rule.ports());
    for (boolean isV4 : new boolean[] {true, false}) {
      Set<ProfileSet> sets = shape.sets(isV4);
      boolean hasBlock = !blocks(rule, isV4).isEmpty();
      if (rule.ports().isEmpty()) {
        addIf(hasGroup, ProfileSet.PEERS, sets);
        addIf(hasBlock, ProfileSet.BLOCKS, sets);
      } else {
        addIf(hasBlock && !ranges.isEmpty(), ProfileSet.RANGES, sets);
        boolean hasSingle = ranges.stream().anyMatch(it -> it.first() == it.last());
        boolean hasSpan = ranges.stream().anyMatch(it -> it.first() != it.last());
        addIf((hasGroup && hasSingle) || hasNames, ProfileSet.PORTS, sets);
        addIf(hasGroup && hasSpan, ProfileSet.SPANS, sets);
      }
    }
  }

  private static void addIf(boolean isNeeded, ProfileSet set, Set<ProfileSet> sets) {
    if (isNeeded) {
      sets.add(set);
    }
  }

  /** Returns the addresses of one family that a rule names without naming containers. */
  static List<AddressRange> blocks(TrafficRule rule, boolean isV4) {
    if (rule.peers().isEmpty()) {
      return List.of(AddressRange.all(isV4));
    }
    List<AddressRange> ranges = new ArrayList<>();
    for (Peer peer : rule.peers()) {
      if (peer instanceof Peer.Block block && block.cidr().isV4() == isV4) {
        ranges.addAll(AddressRange.of(block));
      }
    }
    return ranges;
  }

  /** Returns ports as ranges; of names, those that stand for ports of the selected container. */
  List<PortMatch.Range> ranges(Iterable<PortMatch> matches) {
    List<PortMatch.Range> ranges = new ArrayList<>();
    for (PortMatch match : matches) {
      switch (match) {
        case PortMatch.All all ->
            ranges.add(new PortMatch.Range(all.protocol(), 0, PortMatch.LAST_PORT));
        case PortMatch.Range range -> ranges.add(range);
        case PortMatch.Named named -> {
          Integer port = ports.get(named);
          if (port != null) {
            ranges.add(new PortMatch.Range(named.protocol(), port, port));
          }
        }
      }
    }
    return ranges;
  }

  Direction direction() {
    return direction;
  }

  /** Returns the policies by name. */
  List<Policy> policies() {
    return policies;
  }

  /** Returns the rules of all its policies. */
  List<TrafficRule> rules() {
    return policies.stream().flatMap(it -> rules(it).stream()).toList();
  }

  /** Returns the name of the chain. Profiles of one name are the same chain. */
  String chain() {
    return chain;
  }

  /** Returns whether it lets everything pass. */
  boolean isOpen() {
    return rules().stream().anyMatch(it -> it.peers().isEmpty() && it.ports().isEmpty());
  }

  boolean has(ProfileSet set, boolean isV4) {
    return shape().sets(isV4).contains(set);
  }

  NamedSet set(ProfileSet set, boolean isV4) {
    return set.of(chain, isV4);
  }

  /** Returns all its sets. */
  List<NamedSet> sets() {
    List<NamedSet> sets = new ArrayList<>();
    shape().sets(true).forEach(it -> sets.add(set(it, true)));
    shape().sets(false).forEach(it -> sets.add(set(it, false)));
    return sets;
  }

  /** Returns the rules of the chain. */
  ChainContent content() {
    List<Rule> rules = new ArrayList<>();
    shape().sets(true).forEach(it -> rules.add(lookup(it, true)));
    shape().sets(false).forEach(it -> rules.add(lookup(it, false)));
    rules.add(
        RuleBuilder.forFamily(TableFamily.INET).append(Verdict.jump(InetTable.CONTROL)).build());
    Rule drop = RuleBuilder.forFamily(TableFamily.INET).counter().append(Verdict.DROP).build();
    rules.add(drop.withComment(Userdata.truncateComment(comment())));
    return new ChainContent(Optional.empty(), rules);
  }

  private Rule lookup(ProfileSet set, boolean isV4) {
    return RuleBuilder.forFamily(TableFamily.INET)
        .in(set(set, isV4), set.fields(direction, isV4))
        .append(Verdict.RETURN)
        .build();
  }

  private String comment() {
    String names = String.join(", ", policies.stream().map(Policy::name).toList());
    return direction.key() + " not allowed by " + names;
  }
}
