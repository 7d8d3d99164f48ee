package cni.plugins.main.ipvlan;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.Rollback;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkConstants;
import cni.netlink.ffm.route.LinkSpec;
import cni.plugins.main.InterfacePlugin;
import cni.plugins.main.LinkModes;
import cni.plugins.main.ParentLink;
import cni.plugins.support.Ipam;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Gives a container an interface that shares the hardware address of a link of the host. Behind
 * another plugin it stands on the one interface of that plugin's result and, without an ipam plugin
 * of its own, takes over the addresses.
 */
public final class IpvlanPlugin extends InterfacePlugin {
  private static final Map<String, Integer> MODES =
      Map.of(
          "l2", LinkConstants.IPVLAN_MODE_L2,
          "l3", LinkConstants.IPVLAN_MODE_L3,
          "l3s", LinkConstants.IPVLAN_MODE_L3S);

  /** The plugin as the runtime makes it. */
  public IpvlanPlugin() {
    super("ipvlan");
  }

  @Override
  protected void validate(PluginConfig config) throws CniException {
    mode(config.view());
  }

  private static int mode(ConfigObject view) throws CniException {
    return LinkModes.parse(view, MODES, "l2");
  }

  @Override
  protected void create(AttachmentRequest request, NetNsSession host, NetNsSession sandbox)
      throws CniException, IOException {
    ConfigObject view = request.config().view();
    ParentLink master = ParentLink.find(view, parentName(request), host, sandbox);
    String name = request.attachment().interfaceName();
    LinkSpec link =
        LinkSpec.ipvlan(name, master.link().index(), mode(view)).mtu(master.requestedMtu(view));
    master.createUpper(link, request, host, sandbox);
  }

  private static Optional<String> parentName(AttachmentRequest request) throws CniException {
    Optional<String> named = ParentLink.configuredName(request.config().view());
    if (named.isPresent() || request.prevResult().isEmpty()) {
      return named;
    }
    List<Result.Interface> before = request.prevResult().get().interfaces();
    if (before.size() != 1 || before.getFirst().name().isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "master is missing, and prevResult does not have just one interface to stand on, but "
              + before.stream().map(Result.Interface::name).toList());
    }
    return Optional.of(before.getFirst().name());
  }

  /** As in the reference plugin, the result names no other interface. */
  @Override
  protected Result baseResult(AttachmentRequest request) {
    return Result.EMPTY;
  }

  @Override
  public Optional<Result> assignAddresses(
      AttachmentRequest request, Rollback rollback, Ipam.Detach disconnection) throws CniException {
    Optional<Result> own = super.assignAddresses(request, rollback, disconnection);
    return own.isPresent() ? own : request.prevResult().filter(it -> !it.ips().isEmpty());
  }

  @Override
  protected void checkLink(
      AttachmentRequest request, Link link, NetNsSession host, NetNsSession sandbox)
      throws CniException, IOException {
    ConfigObject view = request.config().view();
    LinkModes.requireMode(link, MODES, mode(view));
    ParentLink.requireParent(link, view, host, sandbox);
  }

  /** Where the configuration names no master it may be that of an earlier plugin. */
  @Override
  protected void requireReady(NetworkRequest request) throws CniException {
    if (ParentLink.configuredName(request.config().view()).isPresent()) {
      ParentLink.requirePresent(request);
    }
  }
}
