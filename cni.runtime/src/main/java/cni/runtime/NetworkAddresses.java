// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Objects.requireNonNull;

import cni.api.AddressRegistry;
import cni.api.AddressReport;
import cni.api.CallContext;
import cni.api.ClusterAddressRegistry;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.NetworkConfig;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.SpecVersion;
import cni.api.TraceContext;
import cni.runtime.PluginRegistry.ResolvedPlugin;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The addresses that a network's ipam plugin has assigned, for an operator. Obtained from {@link
 * Network#addresses}.
 *
 * <p>The ipam plugin is the one that an {@code ipam} section of the chain names. It must be a
 * module: the execution protocol has no verbs for these operations. They have the network's
 * deadline and end with code 11 when it passes or their thread is interrupted.
 */
public final class NetworkAddresses {
  private final CniState cni;
  private final NetworkConfig config;
  private final TraceContext trace;

  NetworkAddresses(CniState cni, NetworkConfig config, TraceContext trace) {
    this.cni = cni;
    this.config = config;
    this.trace = trace;
  }

  /**
   * What an ipam plugin has assigned.
   *
   * @param type the plugin's type
   * @param report its addresses
   */
  public record PluginReport(String type, AddressReport report) {
    /** Checks that no argument is null. */
    public PluginReport {
      requireNonNull(type, "type");
      requireNonNull(report, "report");
    }
  }

  /**
   * An ipam plugin of the chain.
   *
   * @param config the plugin of the chain that delegates to it
   * @param type its type
   * @param resolved the plugin
   */
  private record IpamPlugin(PluginConfig config, String type, ResolvedPlugin resolved) {
    Optional<AddressRegistry> registry() {
      return resolved.plugin().addressRegistry();
    }

    Optional<ClusterAddressRegistry> cluster() {
      return registry()
          .filter(ClusterAddressRegistry.class::isInstance)
          .map(ClusterAddressRegistry.class::cast);
    }
  }

  /**
   * Returns whether {@link #reports} is possible: an ipam plugin of the chain lists its addresses.
   *
   * @throws CniException code 7 if an ipam plugin does not exist
   */
  public boolean canList() throws CniException {
    return ipamPlugins().stream().anyMatch(it -> it.registry().isPresent());
  }

  /**
   * Returns whether the nodes of a cluster share the addresses, so that {@link
   * #importReservations}, {@link #releaseNode} and {@link #resume} are possible.
   *
   * @throws CniException code 7 if an ipam plugin does not exist
   */
  public boolean isCluster() throws CniException {
    return ipamPlugins().stream().anyMatch(it -> it.cluster().isPresent());
  }

  /**
   * Lists the addresses of each ipam plugin of the chain that can; most chains have one. Changes
   * nothing.
   *
   * @throws CniException code 7 if there is no such plugin; otherwise the error of the plugin
   */
  public List<PluginReport> reports() throws CniException {
    CallContext context = cni.newContext(trace);
    List<PluginReport> reports = new ArrayList<>();
    for (IpamPlugin ipam : ipamPlugins()) {
      Optional<AddressRegistry> registry = ipam.registry();
      if (registry.isPresent()) {
        NetworkRequest request = request(ipam, context);
        reports.add(
            new PluginReport(
                ipam.type(),
                call("address report", ipam).call(() -> registry.get().report(request))));
      }
    }
    if (reports.isEmpty()) {
      throw new CniException(ErrorCode.INVALID_CONFIG, describeUnlisted());
    }
    return reports;
  }

  /**
   * Reserves in the store of the cluster what host-local has reserved on this host, for the same
   * attachments. ADD, DEL and GC on this network wait meanwhile. May be repeated.
   *
   * @param directory host-local's directory of the network, {@code <dataDir>/<network>}
   * @return the number of attachments whose addresses this call has imported
   * @throws CniException code 7 if {@link #isCluster} is false, the directory is not one of
   *     host-local, or an address is in none of the ranges; code 11 if an address is held by
   *     another attachment, or the store is unreachable
   */
  public int importReservations(Path directory) throws CniException {
    requireNonNull(directory, "directory");
    return callCluster(
        "import",
        (registry, request) -> {
          try (var _ = cni.networkLock().exclusive(config.name(), request.context().deadline())) {
            return registry.importReservations(request, directory);
          }
        });
  }

  /**
   * Releases all addresses of a node that no longer exists, in all networks of the store.
   *
   * @param node the node's name
   * @param force whether to do so even if the node may be running
   * @return the number of attachments whose addresses have been released
   * @throws CniException code 7 if {@link #isCluster} is false; code 4 if the node is not
   *     registered, or is not known to be gone and {@code force} is false; code 11 if the store is
   *     unreachable
   */
  public int releaseNode(String node, boolean force) throws CniException {
    requireNonNull(node, "node");
    return callCluster(
        "release of a node", (registry, request) -> registry.releaseNode(request, node, force));
  }

  /**
   * Ends the state in which no address is assigned, because the store was restored from a backup.
   *
   * @param force whether to do so even if nodes have not yet recorded their addresses again
   * @return whether there was such a state
   * @throws CniException code 7 if {@link #isCluster} is false; code 4 if nodes have not recorded
   *     their addresses and {@code force} is false; code 11 if the store is unreachable
   */
  public boolean resume(boolean force) throws CniException {
    return callCluster("resumption", (registry, request) -> registry.resume(request, force));
  }

  private List<IpamPlugin> ipamPlugins() throws CniException {
    List<IpamPlugin> found = new ArrayList<>();
    for (PluginConfig plugin : config.plugins()) {
      Optional<String> type = plugin.ipamType();
      if (type.isPresent()) {
        found.add(new IpamPlugin(plugin, type.get(), cni.plugins().resolve(type.get())));
      }
    }
    return found;
  }

  /** An operation on the addresses of a cluster. */
  private interface ClusterOperation<T> {
    T run(ClusterAddressRegistry registry, NetworkRequest request) throws CniException;
  }

  private <T> T callCluster(String name, ClusterOperation<T> operation) throws CniException {
    CallContext context = cni.newContext(trace);
    for (IpamPlugin ipam : ipamPlugins()) {
      Optional<ClusterAddressRegistry> registry = ipam.cluster();
      if (registry.isPresent()) {
        NetworkRequest request = request(ipam, context);
        return call(name, ipam).call(() -> operation.run(registry.get(), request));
      }
    }
    throw new CniException(
        ErrorCode.INVALID_CONFIG,
        canList()
            ? "the addresses of network %s belong to this host alone: its ipam plugin, %s, shares"
                    .formatted(config.name(), ipamPlugins().getFirst().type())
                + " none between nodes; name a network whose ipam plugin is one for a cluster"
            : describeUnlisted());
  }

  /** Returns why no ipam plugin of the chain lists addresses, and what to do. */
  private String describeUnlisted() throws CniException {
    List<IpamPlugin> all = ipamPlugins();
    if (all.isEmpty()) {
      return "network "
          + config.name()
          + " has no ipam plugin: none of its plugins has an ipam section with a type; name a"
          + " network that assigns addresses";
    }
    IpamPlugin first = all.getFirst();
    String subject = "the ipam plugin of network %s, %s, ".formatted(config.name(), first.type());
    return first.resolved().isInProcess()
        ? subject + "cannot list its addresses; the results of attachments contain them"
        : subject
            + "runs as an executable, which cannot list addresses; use the module of this type:"
            + " modules must come first in the search order, and the type must not be forced to be"
            + " an executable";
  }

  private PluginCall call(String operation, IpamPlugin ipam) {
    return new PluginCall(config.name(), operation, ipam.type());
  }

  /** Derives the request as STATUS does; goes on if other plugins of the chain do not exist. */
  private NetworkRequest request(IpamPlugin ipam, CallContext context) throws CniException {
    SpecVersion version = new VersionNegotiation(config, cni.plugins()).negotiateOrNewest();
    return new NetworkRequest(ipam.config().forRequest(config.name(), version, Map.of()), context);
  }
}
