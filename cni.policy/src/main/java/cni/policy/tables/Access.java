// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.policy.Direction;
import cni.policy.Endpoint;
import cni.policy.Peer;
import cni.policy.PortMatch;
import cni.policy.TrafficRule;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What some rules let a container send to the destination of a connection.
 *
 * @param everything whether that is every packet
 * @param ports otherwise the ports
 */
record Access(boolean everything, Set<PortMatch> ports) {
  static final Access NONE = new Access(false, Set.of());
  private static final Access ALL = new Access(true, Set.of());

  private static final Comparator<PortMatch.Range> ORDER =
      Comparator.comparing(PortMatch.Range::protocol)
          .thenComparingInt(PortMatch.Range::first)
          .thenComparingInt(PortMatch.Range::last);

  Access {
    ports = Set.copyOf(ports);
  }

  /** Returns what the rules of a policy let one container do, or let others do to it. */
  static Access of(List<TrafficRule> rules, Direction direction, Identity identity, Endpoint peer) {
    Set<PortMatch> ports = Set.of();
    for (TrafficRule rule : rules) {
      boolean isMember = isMember(rule, peer);
      if (isMember && rule.ports().isEmpty()) {
        return ALL;
      }
      if (ports.isEmpty() && !rule.ports().isEmpty()) {
        ports = new HashSet<>();
      }
      for (PortMatch port : rule.ports()) {
        if (!(port instanceof PortMatch.Named named) || direction == Direction.INGRESS) {
          if (isMember) {
            ports.add(port);
          }
        } else if (isMember || isInBlock(rule, identity)) {
          range(named, peer.ports().get(named.name()), ports);
        }
      }
    }
    return ports.isEmpty() ? NONE : new Access(false, ports);
  }

  private static boolean isMember(TrafficRule rule, Endpoint peer) {
    for (Peer candidate : rule.peers()) {
      if (candidate instanceof Peer.Group group && group.contains(peer)) {
        return true;
      }
    }
    return false;
  }

  /** Returns whether a rule names the address without naming the container. */
  private static boolean isInBlock(TrafficRule rule, Identity identity) {
    return rule.peers().isEmpty()
        || rule.peers().stream()
            .anyMatch(it -> it instanceof Peer.Block b && b.contains(identity.address()));
  }

  private static void range(
      PortMatch.Named named, Endpoint.@Nullable NamedPort port, Set<PortMatch> ports) {
    if (port != null && port.protocol() == named.protocol()) {
      ports.add(new PortMatch.Range(port.protocol(), port.port(), port.port()));
    }
  }

  boolean isNone() {
    return !everything && ports.isEmpty();
  }

  /** Returns what either allows. */
  Access or(Access other) {
    if (everything || other.isNone()) {
      return this;
    }
    if (other.everything || isNone() || other.ports.equals(ports)) {
      return other;
    }
    Set<PortMatch> union = new HashSet<>(ports);
    union.addAll(other.ports);
    return new Access(false, union);
  }

  /**
   * Returns the ports as disjoint ranges. Ranges of several ports are merged if they overlap or
   * touch; single ports stay as they are, because the two kinds are in different sets.
   */
  static List<PortMatch.Range> disjoint(List<PortMatch.Range> ports) {
    List<PortMatch.Range> sorted = new ArrayList<>(ports);
    sorted.sort(ORDER);
    List<PortMatch.Range> wide = new ArrayList<>();
    for (PortMatch.Range range : sorted) {
      if (range.first() == range.last()) {
        continue;
      }
      PortMatch.Range previous = wide.isEmpty() ? null : wide.getLast();
      if (previous != null
          && previous.protocol() == range.protocol()
          && range.first() <= previous.last() + 1) {
        int last = Math.max(previous.last(), range.last());
        wide.set(wide.size() - 1, new PortMatch.Range(range.protocol(), previous.first(), last));
      } else {
        wide.add(range);
      }
    }
    Set<PortMatch.Range> disjoint = new HashSet<>(wide);
    for (PortMatch.Range range : sorted) {
      if (range.first() == range.last() && wide.stream().noneMatch(it -> contains(it, range))) {
        disjoint.add(range);
      }
    }
    return List.copyOf(disjoint);
  }

  private static boolean contains(PortMatch.Range wide, PortMatch.Range single) {
    return wide.protocol() == single.protocol()
        && wide.first() <= single.first()
        && single.last() <= wide.last();
  }
}
