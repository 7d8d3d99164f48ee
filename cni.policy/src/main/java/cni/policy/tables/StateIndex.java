// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.policy.Direction;
import cni.policy.Endpoint;
import cni.policy.Policy;
import cni.policy.PolicyState;
import cni.policy.SelectorIndex;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * What follows from a {@link PolicyState}, kept so that a change of one endpoint or policy costs
 * what it changes and not the whole state. Not safe for use by several threads.
 */
final class StateIndex {
  private static final Comparator<Endpoint> BY_ID =
      Comparator.comparing(
          Endpoint::id,
          Comparator.comparing(Endpoint.Id::network)
              .thenComparing(Endpoint.Id::containerId)
              .thenComparing(Endpoint.Id::ifname));

  private static final Comparator<Policy> BY_NAME = Comparator.comparing(Policy::name);

  private final Map<String, Policy> policies = new TreeMap<>();
  private final Map<Endpoint.Id, Selection> selections = new HashMap<>();
  private final Uses<Profile> profiles = new Uses<>();
  private final Uses<LimitChain> limits = new Uses<>();
  private final Map<Identity, List<Endpoint>> identities = new HashMap<>();
  private final Map<String, List<Endpoint>> ports = new HashMap<>();
  private final Map<PolicyDirection, Map<Identity, Access>> peers = new HashMap<>();

  /** Single answers of policies whose peers have not all been looked for. */
  private final Map<PolicyDirection, Map<Identity, Access>> probes = new HashMap<>();

  private SelectorIndex<Policy> selectors = new SelectorIndex<>();
  private PolicyState state = PolicyState.EMPTY;

  private record PolicyDirection(String policy, Direction direction) {}

  /** Returns the index of a state. */
  static StateIndex of(PolicyState state) {
    var index = new StateIndex();
    index.update(state, StateChange.between(PolicyState.EMPTY, state));
    return index;
  }

  /**
   * Changes the index to that of another state.
   *
   * @param change the difference from the present state
   */
  void update(PolicyState after, StateChange change) {
    List<Endpoint> reselected = reselected(after, change);
    change.policies().forEach(this::removePolicy);
    Set<Identity> touched = new HashSet<>();
    for (Endpoint.Id id : change.endpoints()) {
      Endpoint old = state.endpoints().get(id);
      if (old != null) {
        removeEndpoint(old, touched);
      }
    }
    probes.clear();
    if (!change.policies().isEmpty()) {
      selectors = new SelectorIndex<>();
      for (Policy policy : after.policies()) {
        selectors.add(policy.selector(), policy.networks(), policy);
        if (change.policies().contains(policy.name())) {
          policies.put(policy.name(), policy);
        }
      }
    }
    for (Endpoint.Id id : change.endpoints()) {
      Endpoint added = after.endpoints().get(id);
      if (added != null) {
        addEndpoint(added, touched);
      }
    }
    for (Endpoint endpoint : reselected) {
      release(selection(endpoint));
      select(endpoint, newSelection(endpoint));
    }
    touched.forEach(this::updatePeer);
    state = after;
  }

  private void removePolicy(String name) {
    policies.remove(name);
    for (Direction direction : Direction.values()) {
      peers.remove(new PolicyDirection(name, direction));
    }
  }

  private void removeEndpoint(Endpoint endpoint, Set<Identity> touched) {
    for (Identity identity : Identity.of(endpoint)) {
      remove(identities, identity, endpoint);
      touched.add(identity);
    }
    remove(ports, endpoint.hostInterface(), endpoint);
    Selection selection = selections.remove(endpoint.id());
    if (selection != null) {
      release(selection);
    }
  }

  private void addEndpoint(Endpoint endpoint, Set<Identity> touched) {
    for (Identity identity : Identity.of(endpoint)) {
      add(identities, identity, endpoint);
      touched.add(identity);
    }
    add(ports, endpoint.hostInterface(), endpoint);
    select(endpoint, newSelection(endpoint));
  }

  private Selection newSelection(Endpoint endpoint) {
    List<Policy> selecting = new ArrayList<>();
    selectors.forEachMatch(endpoint, selecting::add);
    selecting.sort(BY_NAME);
    return Selection.of(endpoint, selecting);
  }

  private void select(Endpoint endpoint, Selection selection) {
    selections.put(endpoint.id(), selection);
    for (Direction direction : Direction.values()) {
      selection.profile(direction).ifPresent(it -> profiles.acquire(it.chain(), it));
      selection.limits(direction).ifPresent(it -> limits.acquire(it.chain(), it));
    }
  }

  private void release(Selection selection) {
    for (Direction direction : Direction.values()) {
      selection.profile(direction).ifPresent(it -> profiles.release(it.chain()));
      selection.limits(direction).ifPresent(it -> limits.release(it.chain()));
    }
  }

  /**
   * Returns the endpoints that stay, and that a changed policy selects or will select.
   *
   * @param change the difference between the present state and the other one
   */
  List<Endpoint> reselected(PolicyState after, StateChange change) {
    if (change.policies().isEmpty()) {
      return List.of();
    }
    List<Policy> changed =
        after.policies().stream().filter(it -> change.policies().contains(it.name())).toList();
    return after.endpoints().values().stream()
        .filter(it -> !change.endpoints().contains(it.id()))
        .filter(
            it ->
                selection(it).isBy(change.policies())
                    || changed.stream().anyMatch(policy -> policy.selects(it)))
        .toList();
  }

  private void updatePeer(Identity identity) {
    Optional<Endpoint> owner = owner(identity);
    peers.forEach(
        (key, members) -> {
          Access access = owner.map(it -> access(key, identity, it)).orElse(Access.NONE);
          if (access.isNone()) {
            members.remove(identity);
          } else {
            members.put(identity, access);
          }
        });
  }

  private Access access(PolicyDirection key, Identity identity, Endpoint endpoint) {
    Policy policy = policies.get(key.policy);
    return policy == null
        ? Access.NONE
        : Access.of(
            policy.rules().getOrDefault(key.direction, List.of()),
            key.direction,
            identity,
            endpoint);
  }

  private Map<Identity, Access> members(PolicyDirection key) {
    return peers.computeIfAbsent(key, this::findMembers);
  }

  private Map<Identity, Access> findMembers(PolicyDirection key) {
    Map<Identity, Access> members = new HashMap<>();
    for (Identity identity : identities.keySet()) {
      Access access = access(key, identity, owner(identity).orElseThrow());
      if (!access.isNone()) {
        members.put(identity, access);
      }
    }
    return members;
  }

  private static <K> void add(Map<K, List<Endpoint>> map, K key, Endpoint endpoint) {
    List<Endpoint> list = map.computeIfAbsent(key, _ -> new ArrayList<>(1));
    list.add(endpoint);
    list.sort(BY_ID);
  }

  private static <K> void remove(Map<K, List<Endpoint>> map, K key, Endpoint endpoint) {
    List<Endpoint> list = map.get(key);
    if (list != null) {
      list.removeIf(it -> it.id().equals(endpoint.id()));
      if (list.isEmpty()) {
        map.remove(key);
      }
    }
  }

  PolicyState state() {
    return state;
  }

  Set<Identity> identities() {
    return identities.keySet();
  }

  /** Returns the host's interfaces of the endpoints. */
  Set<String> ports() {
    return ports.keySet();
  }

  /**
   * Returns the endpoint of an address. If there are several, because one was not removed, all but
   * one are ignored, and which one that is depends on the state alone.
   */
  Optional<Endpoint> owner(Identity identity) {
    return Optional.ofNullable(identities.get(identity)).map(List::getLast);
  }

  /** Returns the endpoint of an interface of the host. */
  Optional<Endpoint> owner(String port) {
    return Optional.ofNullable(ports.get(port)).map(List::getLast);
  }

  Selection selection(Endpoint endpoint) {
    return Objects.requireNonNull(selections.get(endpoint.id()));
  }

  /** Returns the profiles that some endpoint has, by the names of their chains. */
  Map<String, Profile> profiles() {
    return profiles.used();
  }

  Map<String, LimitChain> limits() {
    return limits.used();
  }

  /** Returns what a profile lets one container do, or do to its containers. */
  Access access(Profile profile, Identity peer) {
    Access access = Access.NONE;
    for (Policy policy : profile.policies()) {
      access = access.or(access(policy, profile.direction(), peer));
    }
    return access;
  }

  /** Returns what a policy contributes to that. */
  Access access(Policy policy, Direction direction, Identity peer) {
    var key = new PolicyDirection(policy.name(), direction);
    Map<Identity, Access> members = peers.get(key);
    if (members != null) {
      return members.getOrDefault(peer, Access.NONE);
    }
    return probes
        .computeIfAbsent(key, _ -> new HashMap<>())
        .computeIfAbsent(
            peer, it -> owner(it).map(owner -> access(key, it, owner)).orElse(Access.NONE));
  }

  /** Returns the containers that a profile names, with what it lets them do. */
  Map<Identity, Access> peers(Profile profile) {
    Map<Identity, Access> all = new HashMap<>();
    for (Policy policy : profile.policies()) {
      members(new PolicyDirection(policy.name(), profile.direction()))
          .forEach((peer, access) -> all.merge(peer, access, Access::or));
    }
    return all;
  }
}
