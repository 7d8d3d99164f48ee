// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.netlink.ffm.nftables.Bytes;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.route.Link;
import cni.plugins.support.NetNsSession;
import cni.policy.tables.PolicyTables;
import java.io.IOException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** What the links of a host say about attachments, and about who else is on their networks. */
final class HostAttachments {
  private final NetNsSession host;

  /** Creates an instance for the namespace of a session, which the caller closes. */
  HostAttachments(NetNsSession host) {
    this.host = host;
  }

  /**
   * Returns a state with an attachment, with the guards of its networks, and without attachments
   * whose place it takes.
   */
  PolicyState with(PolicyState state, Endpoint endpoint) throws IOException {
    return guard(withoutGone(state, endpoint).with(endpoint), endpoint);
  }

  /**
   * Returns a state of a lost directory with guards for the containers that the tables have, and
   * the interfaces that they exempt.
   */
  PolicyState recovered(PolicyState state, PolicyTables tables) throws IOException {
    Set<PolicyState.Guard> lost = tables.isForeign() ? Set.of() : lost(tables);
    if (lost.isEmpty()) {
      return state;
    }
    Set<PolicyState.Guard> guards = new HashSet<>(state.guards());
    guards.addAll(lost);
    Set<Bytes> exempt = tables.installed().exempt();
    return state.withGuards(
        guards,
        host.rtnetlink().links().stream()
            .map(Link::name)
            .filter(it -> exempt.contains(RuleBuilder.interfaceName(it)))
            .collect(Collectors.toSet()));
  }

  /** Returns guards for the addresses of the tables' containers whose interfaces exist. */
  Set<PolicyState.Guard> lost(PolicyTables tables) throws IOException {
    Map<Integer, String> names = new HashMap<>();
    Map<Bytes, Link> links = new HashMap<>();
    for (Link link : host.rtnetlink().links()) {
      names.put(link.index(), link.name());
      links.put(RuleBuilder.interfaceName(link.name()), link);
    }
    Set<PolicyState.Guard> guards = new HashSet<>();
    tables
        .installed()
        .sources()
        .forEach(
            it -> {
              Link link = links.get(it.device());
              if (link != null) {
                Optional<String> bridge = Optional.ofNullable(names.get(link.master()));
                guards.add(new PolicyState.Guard(it.address(), bridge));
              }
            });
    return guards;
  }

  /**
   * Removes attachments that were not deleted, but whose interface or address another one has now:
   * rules are for one of them.
   */
  private PolicyState withoutGone(PolicyState state, Endpoint endpoint) throws IOException {
    PolicyState present = state;
    for (Endpoint other : state.endpoints().values()) {
      boolean isSame = other.id().equals(endpoint.id());
      boolean sharesInterface = other.hostInterface().equals(endpoint.hostInterface());
      boolean sharesAddress = sharesAddress(other, endpoint);
      if (!isSame && (sharesInterface || (sharesAddress && !isPresent(other.hostInterface())))) {
        present = present.without(other.id());
      }
    }
    return present;
  }

  private static boolean sharesAddress(Endpoint one, Endpoint other) {
    if (!one.device().equals(other.device())) {
      return false;
    }
    for (Cidr address : one.addresses()) {
      for (Cidr another : other.addresses()) {
        if (address.address().equals(another.address())) {
          return true;
        }
      }
    }
    return false;
  }

  private boolean isPresent(String name) throws IOException {
    return host.rtnetlink().link(name).isPresent();
  }

  /** Switches on that its bridge passes packets between its ports to policies. */
  void enableBridge(Endpoint endpoint) throws CniException, IOException {
    if (endpoint.bridge().isPresent()) {
      BridgeFiltering.enable(host, requireLink(endpoint.bridge().get()));
    }
  }

  private Link requireLink(String name) throws CniException, IOException {
    return host.rtnetlink()
        .link(name)
        .orElseThrow(
            () -> new CniException(ErrorCode.INTERNAL, "interface " + name + " is missing"));
  }

  /** Returns whether the bridge of an attachment exists. */
  boolean hasBridge(Endpoint endpoint) throws IOException {
    return endpoint.bridge().isPresent() && isPresent(endpoint.bridge().get());
  }

  /** Returns whether what the bridge forwards is passed to policies, if there is a bridge. */
  boolean isBridgeEnabled(Endpoint endpoint) throws CniException, IOException {
    return endpoint.bridge().isEmpty()
        || BridgeFiltering.isEnabled(requireLink(endpoint.bridge().get()));
  }

  /** Adds the guards of the attachment's networks; of a new one, exempts what is already there. */
  private PolicyState guard(PolicyState state, Endpoint endpoint) throws IOException {
    Set<PolicyState.Guard> guards = new HashSet<>(state.guards());
    Set<String> exempt = new HashSet<>(state.exempt());
    boolean isLost =
        guards.stream()
            .anyMatch(it -> it.bridge().equals(endpoint.bridge()) && isSingle(it.prefix()));
    for (Cidr address : endpoint.addresses()) {
      boolean added = guards.add(new PolicyState.Guard(address.network(), endpoint.bridge()));
      if (added && !isLost && endpoint.bridge().isPresent()) {
        exempt.addAll(otherPorts(endpoint.bridge().get(), state));
      }
    }
    if (!exempt.isEmpty()) {
      exempt.removeAll(hostInterfaces(state));
    }
    return state.withGuards(guards, exempt);
  }

  /**
   * Returns whether it is what {@link #lost} makes: other ports may be containers with policies.
   */
  private static boolean isSingle(Cidr prefix) {
    return prefix.prefix() == InetAddresses.bits(prefix.address());
  }

  private Set<String> otherPorts(String bridge, PolicyState state) throws IOException {
    Optional<Link> link = host.rtnetlink().link(bridge);
    Set<String> names = new HashSet<>();
    if (link.isPresent()) {
      for (Link port : host.rtnetlink().links()) {
        if (port.master() == link.get().index() && port.isKind("veth")) {
          names.add(port.name());
        }
      }
    }
    names.removeAll(hostInterfaces(state));
    return names;
  }

  private static Set<String> hostInterfaces(PolicyState state) {
    return state.endpoints().values().stream()
        .map(Endpoint::hostInterface)
        .collect(Collectors.toSet());
  }
}
