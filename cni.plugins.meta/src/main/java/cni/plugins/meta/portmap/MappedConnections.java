// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.nftables.Bytes;
import cni.netlink.ffm.nftables.ConnectionFilter;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.nftables.TrackedConnection;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.Predicate;

/**
 * Tracked connections to mapped ports. NAT is decided when an entry is created, and an entry lasts
 * as long as packets pass: they continue to go to the old destination.
 */
final class MappedConnections {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.meta");

  private MappedConnections() {}

  /**
   * Deletes the conntrack entries of UDP connections to the mapped ports. Failures are logged only.
   */
  static void deleteUdp(NetNsSession host, PortMapConfig config, Set<TableFamily> families) {
    List<HostPort> udp =
        config.mappings().stream().filter(it -> it.protocol() == RuleBuilder.UDP).toList();
    List<ConnectionFilter> filters = new ArrayList<>();
    for (TableFamily family : families) {
      config.mappings(family).stream()
          .filter(udp::contains)
          .map(it -> ConnectionFilter.toPort(family, RuleBuilder.UDP, it.hostPort()))
          .distinct()
          .forEach(filters::add);
    }
    if (filters.isEmpty()) {
      return;
    }
    try {
      host.conntrack().deleteConnections(filters);
    } catch (IOException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "existing connections to "
                  + PortMapConfig.describe(udp)
                  + " keep their old destination: "
                  + e.getMessage());
    }
  }

  /** A mapping to an address of a container. */
  private record Target(HostPort mapping, InetAddress container) {
    static List<Target> of(PortMapState state) {
      List<Target> targets = new ArrayList<>();
      for (TableFamily family : PortMapConfig.FAMILIES) {
        Optional<Cidr> container = state.address(family);
        if (container.isPresent()) {
          state
              .config()
              .mappings(family)
              .forEach(it -> targets.add(new Target(it, container.get().address())));
        }
      }
      return targets;
    }

    /** Returns a filter for the connections that were opened to the host's side. */
    ConnectionFilter addressed() {
      return ConnectionFilter.toPort(
              TableFamily.of(container), mapping.protocol(), mapping.hostPort())
          .withDestination(mapping.hostIp().map(it -> Bytes.of(it.getAddress())));
    }

    /** Returns a filter for the connections that are translated as by the mapping. */
    ConnectionFilter served() {
      return addressed().withServer(Bytes.of(container.getAddress()), mapping.containerPort());
    }

    /** Whether a connection is translated as by the mapping. */
    boolean serves(TrackedConnection connection) {
      return connection.destination().length() == container.getAddress().length
          && served().matches(connection);
    }

    /** Whether both map the same port of the host, possibly of other addresses, in one family. */
    boolean hasPortOf(Target other) {
      return mapping.protocol() == other.mapping.protocol()
          && mapping.hostPort() == other.mapping.hostPort()
          && container.getAddress().length == other.container.getAddress().length;
    }
  }

  /**
   * Adds the completions of an update: connections through mappings that are no longer desired are
   * cut, and UDP connections to new ones that are not translated to the container are forgotten.
   *
   * @param addsRules whether rules of new mappings are missing; else an interrupted update may have
   *     added them, and connections are translated by them
   */
  static void compare(
      NetNsSession host,
      PortMapState current,
      PortMapState desired,
      boolean addsRules,
      Differences differences) {
    List<Target> before = Target.of(current);
    List<Target> after = Target.of(desired);
    List<Target> removed = before.stream().filter(it -> !after.contains(it)).toList();
    addDeletions(
        host,
        "cut connections through ports ",
        removed,
        Target::served,
        removed.stream().anyMatch(it -> after.stream().anyMatch(it::hasPortOf))
            ? Optional.of(it -> after.stream().noneMatch(other -> other.serves(it)))
            : Optional.empty(),
        differences);
    List<Target> added = after.stream().filter(it -> !before.contains(it)).toList();
    boolean areAllUntranslated =
        addsRules && added.stream().noneMatch(it -> before.stream().anyMatch(it::hasPortOf));
    forgetUntranslated(host, added, after, areAllUntranslated, differences);
  }

  /** Adds the completions of a repair that has added the rules of the mappings. */
  static void restored(NetNsSession host, PortMapState desired, Differences differences) {
    List<Target> all = Target.of(desired);
    forgetUntranslated(host, all, all, false, differences);
  }

  private static void forgetUntranslated(
      NetNsSession host,
      List<Target> added,
      List<Target> all,
      boolean areAllUntranslated,
      Differences differences) {
    List<Target> udp =
        added.stream().filter(it -> it.mapping().protocol() == RuleBuilder.UDP).toList();
    addDeletions(
        host,
        "delete untranslated connections to ports ",
        udp,
        Target::addressed,
        areAllUntranslated
            ? Optional.empty()
            : Optional.of(it -> all.stream().noneMatch(other -> other.serves(it))),
        differences);
  }

  /**
   * Adds the deletion of connections.
   *
   * @param filter returns the filter for the connections of a target
   * @param isDeleted selects those that are deleted; empty if all are, which takes much less time
   */
  private static void addDeletions(
      NetNsSession host,
      String description,
      List<Target> targets,
      Function<Target, ConnectionFilter> filter,
      Optional<Predicate<TrackedConnection>> isDeleted,
      Differences differences) {
    Set<Integer> protocols = new TreeSet<>();
    targets.forEach(it -> protocols.add(it.mapping().protocol()));
    for (int protocol : protocols) {
      List<Target> selected =
          targets.stream().filter(it -> it.mapping().protocol() == protocol).toList();
      List<ConnectionFilter> filters = selected.stream().map(filter).toList();
      String ports =
          PortMapConfig.describe(selected.stream().map(Target::mapping).distinct().toList());
      differences.addCompletion(description + ports, () -> delete(host, filters, isDeleted, ports));
    }
  }

  private static void delete(
      NetNsSession host,
      List<ConnectionFilter> filters,
      Optional<Predicate<TrackedConnection>> isDeleted,
      String ports)
      throws CniException {
    try {
      if (isDeleted.isPresent()) {
        host.conntrack().deleteConnections(filters, isDeleted.get());
      } else {
        host.conntrack().deleteConnections(filters);
      }
    } catch (IOException e) {
      throw NetNsSession.failure("deleting connections to ports " + ports, e);
    }
  }
}
