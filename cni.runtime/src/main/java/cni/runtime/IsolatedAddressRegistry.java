// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AddressRegistry;
import cni.api.AddressReport;
import cni.api.AttachmentRequest;
import cni.api.ClusterAddressRegistry;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.NetworkRequest;
import cni.api.Result;
import cni.api.SpecVersion;
import java.nio.file.Path;
import java.util.Set;

/**
 * A third-party plugin that lists its addresses: its calls are isolated as those of {@link
 * IsolatedPlugin} are.
 */
class IsolatedAddressRegistry implements AddressRegistry {
  private final IsolatedPlugin isolated;
  private final AddressRegistry plugin;

  private IsolatedAddressRegistry(IsolatedPlugin isolated, AddressRegistry plugin) {
    this.isolated = isolated;
    this.plugin = plugin;
  }

  /** Isolates a plugin; the registry that is returned is one of a cluster if the plugin's is. */
  static AddressRegistry of(IsolatedPlugin isolated, AddressRegistry plugin) {
    return plugin instanceof ClusterAddressRegistry cluster
        ? new Cluster(isolated, cluster)
        : new IsolatedAddressRegistry(isolated, plugin);
  }

  @Override
  public String type() {
    return isolated.type();
  }

  @Override
  public Set<SpecVersion> versions() {
    return isolated.versions();
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    return isolated.add(request);
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    isolated.check(request);
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    isolated.delete(request);
  }

  @Override
  public AddressReport report(NetworkRequest request) throws CniException {
    Deadline deadline = request.context().deadline();
    return isolated.callRegistry(
        "address report", deadline, () -> isolated.requireReport(plugin.report(request)));
  }

  /** A third-party plugin whose addresses are shared by the nodes of a cluster. */
  private static final class Cluster extends IsolatedAddressRegistry
      implements ClusterAddressRegistry {
    private final IsolatedPlugin isolated;
    private final ClusterAddressRegistry plugin;

    private Cluster(IsolatedPlugin isolated, ClusterAddressRegistry plugin) {
      super(isolated, plugin);
      this.isolated = isolated;
      this.plugin = plugin;
    }

    @Override
    public int importReservations(NetworkRequest request, Path directory) throws CniException {
      return isolated.callRegistry(
          "import",
          request.context().deadline(),
          () -> plugin.importReservations(request, directory));
    }

    @Override
    public int releaseNode(NetworkRequest request, String node, boolean force) throws CniException {
      return isolated.callRegistry(
          "release of a node",
          request.context().deadline(),
          () -> plugin.releaseNode(request, node, force));
    }

    @Override
    public boolean resume(NetworkRequest request, boolean force) throws CniException {
      return isolated.callRegistry(
          "resumption", request.context().deadline(), () -> plugin.resume(request, force));
    }
  }
}
