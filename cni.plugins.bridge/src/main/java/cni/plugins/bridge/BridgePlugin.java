// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Differences;
import cni.api.GcRequest;
import cni.api.NetworkRequest;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.api.internal.BridgeName;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.plugins.support.HostReadiness;
import cni.plugins.support.Ipam;
import cni.plugins.support.LinkOwnership;
import cni.plugins.support.Masquerade;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.VethPair;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The bridge plugin: connects containers to a bridge of the host, by a veth that it creates or by
 * the interface of an earlier plugin in the chain. Addresses come from the ipam plugin, if there is
 * one.
 */
public final class BridgePlugin implements UpdatablePlugin {
  /** Creates the plugin, for the service loader. */
  public BridgePlugin() {}

  @Override
  public String type() {
    return "bridge";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.INTERFACE);
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

  /**
   * {@inheritDoc}
   *
   * <p>The bridge is shared and never deleted, so keys that only concern it change it for all
   * attachments. {@code isGateway} cannot change: it is not known whether others need the bridge's
   * address. {@code vlan} cannot change while there is a gateway: that of the other VLAN would need
   * the same address, and the host would have two routes to one network.
   *
   * <p>A port leaves and enters only the VLANs that the configuration names; the bridge goes on
   * filtering when no port needs it any more. The hardware address, also that of MAC in CNI_ARGS,
   * is changed in place and announced, with the IPv6 link-local address that is derived from it.
   * One that tuning has set later in the chain stays, and so does the present one if none is
   * requested any more.
   */
  @Override
  public Set<String> changeableKeys() {
    return Set.of(
        "mtu",
        "hairpinMode",
        "portIsolation",
        "promiscMode",
        "ipMasq",
        "ipMasqBackend",
        "macspoofchk",
        "vlan",
        "vlanTrunk",
        "preserveDefaultVlan",
        "runtimeConfig.mac",
        "args.cni.mac",
        "isDefaultGateway",
        "forceAddress",
        "dns");
  }

  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    NetNsSession host = differences.keep(NetNsSession.openHost(request.desired().context()));
    NetNsSession container = differences.keep(NetNsSession.openContainer(request.desired(), host));
    return new BridgeComparison(request, host, container, differences).compare();
  }

  /**
   * {@inheritDoc}
   *
   * <p>Reads only the keys that it needs: an attachment must be removable even if the rest of its
   * configuration is invalid.
   */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    String bridge = BridgeName.of(request.config().view());
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
      if (!LinkOwnership.deleteInterface(request, host, "veth")) {
        deleteByHostEnd(request, host, bridge);
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
  private static void deleteByHostEnd(AttachmentRequest request, NetNsSession host, String bridge)
      throws IOException {
    Result previous = request.prevResult().orElse(Result.EMPTY);
    int index = previous.indexOf(bridge, "").orElse(-1);
    if (index < 0 || index + 1 >= previous.interfaces().size()) {
      return;
    }
    VethPair.deleteByHostEnd(request, host, previous.interfaces().get(index + 1));
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
  public void validate(NetworkRequest request) throws CniException {
    Ipam.validate(request, () -> BridgeConfig.validate(request.config()));
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    BridgeConfig config = BridgeConfig.parse(request.config(), Map.of());
    config.requireConsistent(request.config().view());
    Ipam.status(request);
    HostReadiness.require(
        request,
        host -> {
          Optional<Link> link = host.rtnetlink().link(config.bridge());
          if (link.isPresent()) { // otherwise ADD creates it
            Bridge.requireBridge(link.get());
          }
          if (config.masqueradeBackend().isPresent() || config.spoofCheck()) {
            host.requireNftables();
          }
        });
  }

  static BridgeConfig config(AttachmentRequest request) throws CniException {
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
