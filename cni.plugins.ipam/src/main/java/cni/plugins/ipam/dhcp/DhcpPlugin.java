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
 * The {@code dhcp} plugin: acquires addresses from the network's servers by DHCP (RFC 2131) and
 * DHCPv6 (RFC 8415). A lease must be renewed while the container runs: a resident process does so
 * itself; for a process that serves one call a daemon does, either ours or the reference plugin's.
 * A resident process that runs this daemon too ({@link PluginHost#runsDaemons}) leaves all leases
 * to it, so that executables and the process itself find the same ones.
 */
public final class DhcpPlugin implements ResidentPlugin {
  private static final String DIRECTORY = "dhcp";

  private volatile @Nullable LeaseManager leaseManager;

  /** Creates the plugin, for {@link java.util.ServiceLoader}. */
  public DhcpPlugin() {}

  @Override
  public String type() {
    return "dhcp";
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
  public void check(AttachmentRequest request) throws CniException {
    leasesOfExisting(request).check(request);
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
  public void status(NetworkRequest request) throws CniException {
    DhcpConfig.parse(request.config());
    if (leases(request.config()) instanceof DaemonLeases daemon && !daemon.isReachable()) {
      throw new CniException(
          ErrorCode.NOT_AVAILABLE,
          "no dhcp daemon answers at " + daemon.socket() + "; start \"cni dhcp daemon\"");
    }
  }
}
