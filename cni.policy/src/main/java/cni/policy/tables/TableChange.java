// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.api.CniException;
import cni.netlink.ffm.nftables.TableContent;
import cni.netlink.ffm.nftables.TableReconciler;
import cni.netlink.ffm.nftables.Transaction;
import cni.policy.Endpoint;
import cni.policy.PolicyState;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The parts of both tables that a change of the state concerns, before and after it. It consists of
 * what the changed endpoints and policies have a share in, and not of the whole tables.
 */
final class TableChange {
  private final StateIndex index;
  private final StateChange change;
  private final PolicyState after;
  private final Part old = new Part();
  private final Part young = new Part();

  /** Identities of endpoints that come, go or differ: they may be elements of every profile. */
  private final Set<Identity> peers = new HashSet<>();

  /** Identities that other policies may apply to. */
  private final Set<Identity> identities = new HashSet<>();

  private final Set<String> ports = new HashSet<>();

  private static final class Part {
    final ContentBuilder inet = new ContentBuilder(InetTable.TABLE);
    final ContentBuilder bridge = new ContentBuilder(BridgeTable.TABLE);
  }

  private TableChange(StateIndex index, PolicyState after, StateChange change) {
    this.index = index;
    this.after = after;
    this.change = change;
  }

  /**
   * Determines the change, and brings the index to the state after it.
   *
   * @param change the difference from the state of the index
   * @throws CniException code 7 if a set would have too many elements; the index is unusable then
   */
  static TableChange apply(StateIndex index, PolicyState after, StateChange change)
      throws CniException {
    var tableChange = new TableChange(index, after, change);
    tableChange.run();
    return tableChange;
  }

  /** Appends the change to a transaction. */
  void append(Transaction transaction) {
    TableReconciler.appendPart(transaction, inetBefore(), inetAfter());
    TableReconciler.appendPart(transaction, bridgeBefore(), bridgeAfter());
  }

  TableContent inetBefore() {
    return old.inet.build();
  }

  TableContent inetAfter() {
    return young.inet.build();
  }

  TableContent bridgeBefore() {
    return old.bridge.build();
  }

  TableContent bridgeAfter() {
    return young.bridge.build();
  }

  private void run() throws CniException {
    findAffected();
    Map<String, Profile> profiles = new HashMap<>(index.profiles());
    Map<String, LimitChain> limits = new HashMap<>(index.limits());
    boolean guardsDiffer =
        !index.state().guards().equals(after.guards())
            || !index.state().exempt().equals(after.exempt());
    addElements(old, guardsDiffer);
    for (Profile profile : profiles.values()) {
      addProfile(profile, isChanged(profile), old);
    }
    index.update(after, change);
    addElements(young, guardsDiffer);
    for (Profile profile : index.profiles().values()) {
      addProfile(profile, isChanged(profile) || !profiles.containsKey(profile.chain()), young);
    }
    for (Profile profile : profiles.values()) {
      if (!index.profiles().containsKey(profile.chain())) {
        InetTable.declare(profile, old.inet);
      }
    }
    addLimits(limits, index.limits(), old.inet);
    addLimits(index.limits(), limits, young.inet);
    ContentBuilder.align(old.inet, young.inet);
    ContentBuilder.align(old.bridge, young.bridge);
  }

  /** Adds the limits that are not among others. Chains and objects of one name are equal. */
  private static void addLimits(
      Map<String, LimitChain> limits, Map<String, LimitChain> others, ContentBuilder content) {
    Set<String> stay = new HashSet<>();
    others.values().forEach(it -> stay.addAll(it.limits().keySet()));
    for (LimitChain chain : limits.values()) {
      if (!others.containsKey(chain.chain())) {
        content.add(chain.chain(), chain.content());
        chain
            .limits()
            .forEach(
                (name, limit) -> {
                  if (!stay.contains(name)) {
                    content.add(name, limit);
                  }
                });
      }
    }
  }

  private void findAffected() {
    for (Endpoint.Id id : change.endpoints()) {
      addAffected(index.state().endpoints().get(id), peers);
      addAffected(after.endpoints().get(id), peers);
    }
    identities.addAll(peers);
    for (Endpoint endpoint : index.reselected(after, change)) {
      addAffected(endpoint, identities);
    }
    ports.addAll(difference(index.state().exempt(), after.exempt()));
    ports.addAll(difference(after.exempt(), index.state().exempt()));
  }

  private static Set<String> difference(Set<String> names, Set<String> others) {
    Set<String> rest = new HashSet<>(names);
    rest.removeAll(others);
    return rest;
  }

  private void addAffected(@Nullable Endpoint endpoint, Set<Identity> affected) {
    if (endpoint != null) {
      affected.addAll(Identity.of(endpoint));
      ports.add(endpoint.hostInterface());
    }
  }

  private boolean isChanged(Profile profile) {
    return !change.policies().isEmpty()
        && profile.policies().stream().anyMatch(it -> change.policies().contains(it.name()));
  }

  private void addElements(Part part, boolean withGuards) {
    for (Identity identity : identities) {
      InetTable.addIdentity(index, identity, part.inet);
      BridgeTable.addIdentity(index, identity, part.bridge);
    }
    for (String port : ports) {
      InetTable.addPort(index, port, part.inet);
      BridgeTable.addPort(index, port, part.bridge);
    }
    if (withGuards) {
      Guards.addElements(index.state(), false, part.inet);
      Guards.addElements(index.state(), true, part.bridge);
    }
  }

  private void addProfile(Profile profile, boolean isWhole, Part part) throws CniException {
    if (isWhole) {
      InetTable.addProfile(index, profile, part.inet);
      return;
    }
    for (Identity peer : peers) {
      if (index.owner(peer).isPresent()) { // before, or after the change
        ProfileElements.addPeer(profile, peer, index.access(profile, peer), part.inet);
      }
    }
  }
}
