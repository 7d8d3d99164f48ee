package cni.plugins.link;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.Rollback;
import cni.netlink.ffm.route.IfLink;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.NewLink;
import cni.sandbox.Ipam;
import cni.sandbox.Namespace;
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
          "l2", IfLink.IPVLAN_MODE_L2,
          "l3", IfLink.IPVLAN_MODE_L3,
          "l3s", IfLink.IPVLAN_MODE_L3S);

  /** The plugin as the runtime makes it. */
  public IpvlanPlugin() {
    super("ipvlan");
  }

  @Override
  void requireFeasible(PluginConfig config) throws CniException {
    mode(config.view());
  }

  private static int mode(ConfigObject view) throws CniException {
    return Modes.read(view, MODES, "l2");
  }

  @Override
  void create(AttachmentRequest request, Namespace host, Namespace sandbox)
      throws CniException, IOException {
    ConfigObject view = request.config().view();
    Master master = Master.find(view, masterName(request), host, sandbox);
    String name = request.attachment().interfaceName();
    NewLink link = NewLink.ipvlan(name, master.link().index(), mode(view)).mtu(master.mtu(view));
    master.create(link, request, host, sandbox);
  }

  private static Optional<String> masterName(AttachmentRequest request) throws CniException {
    Optional<String> named = Master.name(request.config().view());
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
  Result before(AttachmentRequest request) {
    return Result.EMPTY;
  }

  @Override
  Optional<Result> addresses(
      AttachmentRequest request, Rollback rollback, Ipam.Disconnection disconnection)
      throws CniException {
    Optional<Result> own = super.addresses(request, rollback, disconnection);
    return own.isPresent() ? own : request.prevResult().filter(it -> !it.ips().isEmpty());
  }

  @Override
  void compare(AttachmentRequest request, Link link, Namespace host, Namespace sandbox)
      throws CniException, IOException {
    ConfigObject view = request.config().view();
    Modes.require(link, MODES, mode(view));
    Master.requireUnder(link, view, host, sandbox);
  }

  /** Where the configuration names no master it may be that of an earlier plugin. */
  @Override
  void requireReady(NetworkRequest request) throws CniException {
    if (Master.name(request.config().view()).isPresent()) {
      Master.requirePresent(request);
    }
  }
}
