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
import cni.plugins.support.BatchedLinkDeletion;
import cni.plugins.support.Ipam;
import cni.plugins.support.Masquerade;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.VethPair;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Connects containers to a bridge of the host: by a veth that it makes, or by the interface that an
 * earlier plugin of the chain made. Addresses come from the ipam plugin, if there is one.
 */
public final class BridgePlugin implements NetworkPlugin {
  /** The plugin as the runtime makes it. */
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
        NetNsSession sandbox = NetNsSession.openContainer(request, host)) {
      return new BridgeAttachment(request, config, host, sandbox).attach();
    }
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    BridgeConfig config = config(request);
    Ipam.check(request);
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession sandbox = NetNsSession.openContainer(request, host)) {
      new BridgeCheck(request, config, host, sandbox).check();
    }
  }

  /**
   * {@inheritDoc}
   *
   * <p>Reads no more of the configuration than it needs, so that what a wrong one has begun can be
   * removed.
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
      if (!deleteContainerEnd(request, host)) {
        deleteByHostEnd(host, previous, bridge);
      }
    }
  }

  /** Whether there was an interface of this attachment in its namespace, which is gone now. */
  private static boolean deleteContainerEnd(AttachmentRequest request, NetNsSession host)
      throws CniException, IOException {
    Optional<NetNsSession> there = NetNsSession.openContainerIfPresent(request, host);
    if (there.isEmpty()) {
      return false;
    }
    try (NetNsSession sandbox = there.get()) {
      String name = request.attachment().interfaceName();
      return BatchedLinkDeletion.delete(
          host,
          sandbox,
          () -> {
            Optional<Link> link = sandbox.rtnetlink().link(name);
            boolean gone = link.isEmpty() || isAnothers(link.get(), request, host);
            return gone ? Optional.empty() : link;
          });
    }
  }

  /**
   * Whether the interface that now has the name is another attachment's, which was given a
   * namespace at the same path: it has another hardware address than this one had, and its peer is
   * not the end that this one had on the host.
   */
  private static boolean isAnothers(Link link, AttachmentRequest request, NetNsSession host)
      throws IOException {
    Result previous = request.prevResult().orElse(Result.EMPTY);
    Optional<Result.Interface> was = previous.find(link.name(), request.attachment().sandbox());
    if (was.isEmpty()
        || was.get().mac().isEmpty()
        || was.get().mac().equalsIgnoreCase(link.mac())) {
      return false;
    }
    for (Result.Interface end : previous.interfaces()) {
      if (end.isOnHost()
          && host.rtnetlink()
              .link(end.name())
              .filter(it -> it.index() == link.linkedIndex())
              .isPresent()) {
        return false; // somebody changed its address
      }
    }
    return true;
  }

  /** The interface is the earlier plugin's, which deletes it; the bridge only lets it go. */
  private static void detachAdopted(NetNsSession host, Result.Interface port, String bridge)
      throws IOException {
    Optional<Link> link = host.rtnetlink().link(port.name());
    Optional<Link> master = host.rtnetlink().link(bridge);
    if (link.isPresent() && master.isPresent() && link.get().master() == master.get().index()) {
      host.rtnetlink().executeIgnoring(LinkRequests.setMaster(link.get().index(), 0), Errno.ENODEV);
    }
  }

  /**
   * Where the container's end is not found (its namespace has no path any more, or another has its
   * path) the veth can still be deleted by the end on the host. It usually went with the namespace;
   * by now another one may have its name.
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
      return; // nothing to look for, and perhaps a kernel without nf_tables
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
    return BridgeConfig.parse(request.config(), request.attachment().args());
  }

  /** The first interface on the host that stands before the bridge, if that is there yet. */
  static Optional<Result.Interface> hostInterfaceBefore(Result result, String bridge) {
    List<Result.Interface> interfaces = result.interfaces();
    int end = result.indexOf(bridge, "").orElse(interfaces.size());
    return interfaces.subList(0, end).stream().filter(Result.Interface::isOnHost).findFirst();
  }

  /**
   * The interface of an earlier plugin that was made a port of the bridge. In the result it stands
   * before the bridge; an interface that this plugin made itself stands after it.
   */
  static Optional<Result.Interface> adoptedInterface(Result result, String bridge) {
    return result.indexOf(bridge, "").isPresent()
        ? hostInterfaceBefore(result, bridge)
        : Optional.empty();
  }
}
