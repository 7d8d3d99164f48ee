package cni.plugins.ipam.dhcp;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.PluginHost;
import cni.api.ResidentPlugin;
import cni.api.Result;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Gives out the addresses that servers of the network grant, by DHCP (RFC 2131) and DHCPv6 (RFC
 * 8415). Leases have to be extended as long as the container runs: where the host of this plugin
 * stays, it does so itself; in a process that ends after each call a daemon does, as for the
 * reference plugin, whose daemon will do.
 */
public final class DhcpPlugin implements ResidentPlugin {
  private static final String DIRECTORY = "dhcp";

  private volatile @Nullable LeaseManager leaseManager;

  /** The plugin as the runtime makes it. */
  public DhcpPlugin() {}

  @Override
  public String type() {
    return "dhcp";
  }

  @Override
  public void start(PluginHost host) throws CniException {
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

  /** A daemon where the configuration names one or nobody else stays, otherwise this process. */
  private Leases leases(PluginConfig config) throws CniException {
    Optional<Path> socket = DhcpConfig.socket(config);
    LeaseManager own = leaseManager;
    return own != null && socket.isEmpty()
        ? new LocalLeases(own)
        : new DaemonLeases(socket.orElse(DhcpConfig.DEFAULT_SOCKET));
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    DhcpConfig.parse(request.config());
    DhcpConfig.options(request);
    return leases(request.config()).allocate(request);
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    leasesOfExisting(request).check(request);
  }

  /** Where an executable made the attachment, its daemon has the lease. */
  private Leases leasesOfExisting(AttachmentRequest request) throws CniException {
    Leases leases = leases(request.config());
    LeaseManager own = leaseManager;
    boolean isElsewhere =
        own != null
            && leases instanceof LocalLeases
            && own.leases().stream().noneMatch(it -> it.id().equals(request.attachment().id()))
            && Files.exists(DhcpConfig.DEFAULT_SOCKET);
    return isElsewhere ? new DaemonLeases(DhcpConfig.DEFAULT_SOCKET) : leases;
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    leasesOfExisting(request).release(request);
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    leases(request.config()).collect(request);
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
