// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.InetAddresses;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.PluginHost;
import cni.api.PluginRole;
import cni.api.ResidentPlugin;
import cni.api.Result;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.plugins.ipam.AssignedResult;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The {@code dhcp} plugin: acquires addresses from the network's servers by DHCP (RFC 2131) and
 * DHCPv6 (RFC 8415). A lease must be renewed while the container runs: a resident process does so
 * itself; for a process that serves one call a daemon does, either ours or the reference plugin's.
 * A resident process that runs this daemon too ({@link PluginHost#runsDaemons}) leaves all leases
 * to it, so that executables and the process itself find the same ones.
 */
public final class DhcpPlugin implements ResidentPlugin, UpdatablePlugin {
  private static final String DIRECTORY = "dhcp";

  private volatile @Nullable LeaseManager leaseManager;

  /** Creates the plugin, for {@link java.util.ServiceLoader}. */
  public DhcpPlugin() {}

  @Override
  public String type() {
    return "dhcp";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.IPAM);
  }

  @Override
  public void start(PluginHost host) throws CniException {
    if (host.runsDaemons()) {
      return;
    }
    var directory = new LeaseDirectory(host.stateDirectory().resolve(DIRECTORY));
    var started = new LeaseManager(directory, host::publish);
    leaseManager = started;
    started.adopt();
  }

  @Override
  public void stop() {
    LeaseManager running = leaseManager;
    leaseManager = null;
    if (running != null) {
      running.close();
    }
  }

  /**
   * Returns this process if it is resident, does not run the daemon and the configuration names
   * none; else the daemon.
   */
  private Leases leases(PluginConfig config) throws CniException {
    Optional<Path> socket = DhcpConfig.socket(config);
    LeaseManager manager = leaseManager;
    return manager != null && socket.isEmpty()
        ? new LocalLeases(manager)
        : new DaemonLeases(socket.orElse(DhcpConfig.DEFAULT_SOCKET));
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    DhcpConfig.parse(request.config());
    DhcpConfig.options(request);
    return leases(request.config()).allocate(request);
  }

  @Override
  public Set<String> changeableKeys() {
    return Set.of("ipam.priority");
  }

  /**
   * {@inheritDoc}
   *
   * <p>A lost lease is acquired again if a server grants its addresses. Undoing that drops the
   * lease. The server is only notified if the addresses are not in use: it could give them to
   * another client.
   */
  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    AttachmentRequest desired = request.desired();
    DhcpConfig.parse(desired.config());
    DhcpConfig.options(desired);
    Leases leases = leasesOfExisting(desired);
    List<String> missing = new ArrayList<>();
    Result found = leases.find(desired, missing);
    requireSame(desired, found, differences);
    if (!missing.isEmpty()) {
      List<DhcpFamily> lost =
          DhcpConfig.parse(desired.config()).families().stream()
              .filter(
                  it -> found.ips().stream().noneMatch(ip -> it.hasAddress(ip.address().address())))
              .toList();
      differences.add(
          String.join("; ", missing),
          "acquire the leases of container %s, interface %s again"
              .formatted(desired.attachment().containerId(), desired.attachment().interfaceName()),
          () -> leases.reacquire(desired),
          () -> leases.drop(desired, lost));
    }
    Result before = DhcpConfig.parse(request.current().config()).withPriority(found);
    return new AssignedResult(
            address -> found.ips().stream().anyMatch(ip -> ip.address().address().equals(address)),
            before.routes(),
            false)
        .replacedBy(found, request);
  }

  /** Requires that the leases have the addresses of the previous result. */
  private static void requireSame(
      AttachmentRequest request, Result found, Differences differences) {
    List<InetAddress> leased = found.ips().stream().map(ip -> ip.address().address()).toList();
    for (Result.IpConfig ip : request.prevResult().orElse(Result.EMPTY).ips()) {
      InetAddress address = ip.address().address();
      if (!leased.contains(address)
          && leased.stream().anyMatch(it -> InetAddresses.isV4(it) == ip.address().isV4())) {
        differences.addUnchangeable(
            "the lease of container %s is lost; the daemon now has %s for it"
                .formatted(
                    request.attachment().containerId(),
                    found.ips().stream().map(Result.IpConfig::address).toList()));
        return;
      }
    }
  }

  /** Returns the default daemon if an executable made the attachment, otherwise {@link #leases}. */
  private Leases leasesOfExisting(AttachmentRequest request) throws CniException {
    Leases leases = leases(request.config());
    LeaseManager manager = leaseManager;
    boolean isInDaemon =
        manager != null
            && leases instanceof LocalLeases
            && manager.leases().stream().noneMatch(it -> it.id().equals(request.attachment().id()))
            && Files.exists(DhcpConfig.DEFAULT_SOCKET);
    return isInDaemon ? new DaemonLeases(DhcpConfig.DEFAULT_SOCKET) : leases;
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    leasesOfExisting(request).release(request);
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    leases(request.config()).gc(request);
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    DhcpConfig.validate(request.config());
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    DhcpConfig.parse(request.config());
    if (leases(request.config()) instanceof DaemonLeases daemon && !daemon.isReachable()) {
      throw new CniException(
          ErrorCode.NOT_AVAILABLE,
          "no dhcp daemon answers at " + daemon.socket() + "; start \"cni dhcp daemon\"");
    }
  }
}
