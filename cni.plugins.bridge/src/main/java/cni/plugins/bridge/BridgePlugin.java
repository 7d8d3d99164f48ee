package cni.plugins.bridge;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.Result;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.plugins.support.Ipam;
import cni.plugins.support.LinkOwnership;
import cni.plugins.support.Masquerade;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.VethPair;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The bridge plugin: connects containers to a bridge of the host, by a veth that it creates or by
 * the interface of an earlier plugin in the chain. Addresses come from the ipam plugin, if there is
 * one.
 */
public final class BridgePlugin implements NetworkPlugin {
  /** Creates the plugin, for the service loader. */
  public BridgePlugin() {}

  @Override
  public String type() {
    return "bridge";
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    BridgeConfig config = config(request);
    config.requireConsistent(request.config().view());
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      return new BridgeAttachment(request, config, host, container).attach();
    }
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    BridgeConfig config = config(request);
    Ipam.check(request);
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      new BridgeCheck(request, config, host, container).check();
    }
  }

  /**
   * {@inheritDoc}
   *
   * <p>Reads only the keys that it needs: an attachment must be removable even if the rest of its
   * configuration is invalid.
   */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    String bridge = BridgeConfig.bridgeName(request.config().view());
    try {
      Ipam.delete(request, () -> detach(request, bridge));
    } catch (IOException e) {
      String name = request.attachment().interfaceName();
      throw NetNsSession.failure("disconnecting " + name + " from bridge " + bridge, e);
    } finally {
      removeRules(request);
    }
  }

  private static void removeRules(AttachmentRequest request) throws CniException {
    ConfigObject view = request.config().view();
    String network = request.config().network();
    AttachmentId id = request.attachment().id();
    if (view.bool("ipMasq") || view.bool("macspoofchk")) {
      try (NetNsSession host = NetNsSession.openHost(request.context())) {
        if (view.bool("ipMasq")) {
          new Masquerade(host, network, id).delete();
        }
        if (view.bool("macspoofchk")) {
          new MacSpoofCheck(host, network, id).delete();
        }
      }
    }
  }

  private static void detach(AttachmentRequest request, String bridge)
      throws CniException, IOException {
    Result previous = request.prevResult().orElse(Result.EMPTY);
    Optional<Result.Interface> adopted = adoptedInterface(previous, bridge);
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      if (adopted.isPresent()) {
        detachAdopted(host, adopted.get(), bridge);
        return;
      }
      boolean deleted =
          LinkOwnership.deleteIfOwned(
              request,
              host,
              (link, container) -> LinkOwnership.matchesMacOrPeer(link, request, host));
      if (!deleted) {
        deleteByHostEnd(host, previous, bridge);
      }
    }
  }

  /** Removes an earlier plugin's interface from the bridge; that plugin deletes it. */
  private static void detachAdopted(NetNsSession host, Result.Interface port, String bridge)
      throws IOException {
    Optional<Link> link = host.rtnetlink().link(port.name());
    Optional<Link> master = host.rtnetlink().link(bridge);
    if (link.isPresent() && master.isPresent() && link.get().master() == master.get().index()) {
      host.rtnetlink().executeIgnoring(LinkRequests.setMaster(link.get().index(), 0), Errno.ENODEV);
    }
  }

  /**
   * Deletes the veth by its end on the host. This is the fallback if the container's end is not
   * found, because its namespace has no path any more or the path is another namespace's.
   */
  private static void deleteByHostEnd(NetNsSession host, Result previous, String bridge)
      throws IOException {
    int index = previous.indexOf(bridge, "").orElse(-1);
    if (index < 0 || index + 1 >= previous.interfaces().size()) {
      return;
    }
    VethPair.deleteByHostEnd(host, previous.interfaces().get(index + 1));
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    BridgeConfig config = BridgeConfig.parse(request.config(), Map.of());
    Ipam.gc(request);
    if (config.masqueradeBackend().isEmpty() && !config.spoofCheck()) {
      return; // no rules; the kernel may lack nf_tables
    }
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      Masquerade.gc(host, request.config().network(), request.valid());
      MacSpoofCheck.gc(host, request.config().network(), request.valid());
    }
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    BridgeConfig config = BridgeConfig.parse(request.config(), Map.of());
    config.requireConsistent(request.config().view());
    Ipam.status(request);
  }

  private static BridgeConfig config(AttachmentRequest request) throws CniException {
    return BridgeConfig.parse(request.config(), request.attachment().args().toMap());
  }

  /**
   * Returns the first interface on the host that the result lists before the bridge, or the first
   * of all if it does not list the bridge yet.
   */
  static Optional<Result.Interface> adoptableInterface(Result result, String bridge) {
    List<Result.Interface> interfaces = result.interfaces();
    int end = result.indexOf(bridge, "").orElse(interfaces.size());
    return interfaces.subList(0, end).stream().filter(Result.Interface::isOnHost).findFirst();
  }

  /**
   * Returns the interface of an earlier plugin that ADD made a port of the bridge. The result lists
   * it before the bridge; a veth that this plugin created comes after the bridge.
   */
  static Optional<Result.Interface> adoptedInterface(Result result, String bridge) {
    return result.indexOf(bridge, "").isPresent()
        ? adoptableInterface(result, bridge)
        : Optional.empty();
  }
}
