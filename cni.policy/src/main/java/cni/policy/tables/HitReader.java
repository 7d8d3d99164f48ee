// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import static cni.netlink.ffm.nftables.AnonymousSet.Type.INTERFACE_NAME;

import cni.netlink.ffm.nftables.Bytes;
import cni.netlink.ffm.nftables.NamedSet;
import cni.netlink.ffm.nftables.PacketCount;
import cni.netlink.ffm.nftables.SetElement;
import cni.netlink.ffm.nftables.TableCounters;
import cni.policy.Direction;
import cni.policy.Policy;
import cni.policy.PolicyHits;
import cni.policy.PortMatch;
import cni.policy.Protocol;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;

/** Finds out from the counters of elements and rules what each policy has done. */
final class HitReader {
  private final StateIndex index;
  private final TableCounters counters;
  private final Map<Bytes, Identity> identities = new HashMap<>();
  private final Map<String, Counts> counts = new TreeMap<>();

  private static final class Counts {
    final Map<Direction, PacketCount> allowed = zero();
    final Map<Direction, PacketCount> denied = zero();
    final Map<Direction, PacketCount> limited = zero();

    private static Map<Direction, PacketCount> zero() {
      Map<Direction, PacketCount> zero = new EnumMap<>(Direction.class);
      for (Direction direction : Direction.values()) {
        zero.put(direction, PacketCount.ZERO);
      }
      return zero;
    }
  }

  private HitReader(StateIndex index, TableCounters counters) {
    this.index = index;
    this.counters = counters;
    index.identities().forEach(it -> identities.put(it.key(), it));
  }

  /**
   * Returns the hits by policy.
   *
   * @param counters those of the {@link InetTable}
   */
  static Map<String, PolicyHits> read(StateIndex index, TableCounters counters) {
    var reader = new HitReader(index, counters);
    index.state().policies().forEach(it -> reader.counts.put(it.name(), new Counts()));
    index.profiles().values().forEach(reader::addProfile);
    index.limits().values().forEach(reader::addLimits);
    Map<String, PolicyHits> hits = new TreeMap<>();
    reader.counts.forEach(
        (name, it) -> hits.put(name, new PolicyHits(it.allowed, it.denied, it.limited)));
    return hits;
  }

  private void addProfile(Profile profile) {
    for (Policy policy : profile.policies()) {
      add(counts(policy.name()).denied, profile.direction(), dropped(profile.chain()));
    }
    for (ProfileSet kind : ProfileSet.values()) {
      for (boolean isV4 : new boolean[] {true, false}) {
        NamedSet set = profile.set(kind, isV4);
        counters
            .elements()
            .getOrDefault(set.name(), Map.of())
            .forEach(
                (element, count) -> {
                  if (count.packets() > 0) {
                    addElement(profile, kind, isV4, element, count);
                  }
                });
      }
    }
  }

  private void addElement(
      Profile profile, ProfileSet kind, boolean isV4, SetElement element, PacketCount count) {
    for (Policy policy : profile.policies()) {
      if (isFrom(profile, policy, kind, isV4, element)) {
        add(counts(policy.name()).allowed, profile.direction(), count);
      }
    }
  }

  /** Returns whether a policy allows packets of an element of a profile. */
  private boolean isFrom(
      Profile profile, Policy policy, ProfileSet kind, boolean isV4, SetElement element) {
    Predicate<Iterable<PortMatch>> hasPorts =
        ports -> kind.hasPorts() && overlap(profile.ranges(ports), ports(element, isV4));
    if (kind.hasDevice()) {
      Identity peer =
          identities.get(element.first().first(INTERFACE_NAME.length() + addressBytes(isV4)));
      if (peer == null) {
        return false;
      }
      Access access = index.access(policy, profile.direction(), peer);
      return access.everything() || hasPorts.test(access.ports());
    }
    AddressRange addresses = addresses(element, isV4);
    return policy.rules().getOrDefault(profile.direction(), List.of()).stream()
        .filter(rule -> rule.ports().isEmpty() || hasPorts.test(rule.ports()))
        .flatMap(rule -> Profile.blocks(rule, isV4).stream())
        .anyMatch(addresses::overlaps);
  }

  private static int addressBytes(boolean isV4) {
    return isV4 ? 4 : 16;
  }

  private static AddressRange addresses(SetElement element, boolean isV4) {
    int bytes = addressBytes(isV4);
    return new AddressRange(
        bytes * Byte.SIZE,
        new BigInteger(1, element.first().first(bytes).toArray()),
        new BigInteger(1, element.last().first(bytes).toArray()));
  }

  /** Returns the protocol and the ports, which are the last three bytes of a key. */
  private static PortMatch.Range ports(SetElement element, boolean isV4) {
    ByteBuffer first = ByteBuffer.wrap(element.first().toArray());
    ByteBuffer last = ByteBuffer.wrap(element.last().toArray());
    int number = Byte.toUnsignedInt(first.get(first.limit() - 3));
    Protocol protocol =
        Arrays.stream(Protocol.values())
            .filter(it -> it.number(isV4) == number)
            .findFirst()
            .orElseThrow();
    return new PortMatch.Range(
        protocol,
        Short.toUnsignedInt(first.getShort(first.limit() - 2)),
        Short.toUnsignedInt(last.getShort(last.limit() - 2)));
  }

  private static boolean overlap(List<PortMatch.Range> ranges, PortMatch.Range ports) {
    return ranges.stream()
        .anyMatch(
            it ->
                it.protocol() == ports.protocol()
                    && it.first() <= ports.last()
                    && ports.first() <= it.last());
  }

  private void addLimits(LimitChain limits) {
    List<PacketCount> rules = counters.rules().getOrDefault(limits.chain(), List.of());
    List<String> policies = limits.policies();
    for (int i = 0; i < Math.min(rules.size(), policies.size()); i++) {
      add(counts(policies.get(i)).limited, limits.direction(), rules.get(i));
    }
  }

  /** Returns what the last rule of a chain, the one that drops, has counted. */
  private PacketCount dropped(String chain) {
    List<PacketCount> rules = counters.rules().getOrDefault(chain, List.of());
    return rules.isEmpty() ? PacketCount.ZERO : rules.getLast();
  }

  private Counts counts(String policy) {
    return counts.computeIfAbsent(policy, _ -> new Counts());
  }

  private static void add(
      Map<Direction, PacketCount> counts, Direction direction, PacketCount count) {
    counts.merge(direction, count, PacketCount::plus);
  }
}
