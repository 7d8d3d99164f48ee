package cni.plugins.link;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.netlink.ffm.route.IfLink;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Mac;
import cni.netlink.ffm.route.NewLink;
import cni.sandbox.Namespace;
import cni.sandbox.RequestedMac;
import java.io.IOException;
import java.util.Map;
import java.util.Optional;

/** Gives a container an interface with a hardware address of its own on a link of the host. */
public final class MacvlanPlugin extends InterfacePlugin {
  private static final Map<String, Integer> MODES =
      Map.of(
          "bridge", IfLink.MACVLAN_MODE_BRIDGE,
          "private", IfLink.MACVLAN_MODE_PRIVATE,
          "vepa", IfLink.MACVLAN_MODE_VEPA,
          "passthru", IfLink.MACVLAN_MODE_PASSTHRU);

  private static final int LONGEST_QUEUE = Integer.MAX_VALUE;

  /** The plugin as the runtime makes it. */
  public MacvlanPlugin() {
    super("macvlan");
  }

  @Override
  void requireFeasible(PluginConfig config) throws CniException {
    mode(config.view());
    queue(config.view());
  }

  private static int mode(ConfigObject view) throws CniException {
    return Modes.read(view, MODES, "bridge");
  }

  private static int queue(ConfigObject view) throws CniException {
    return view.integer("bcqueuelen", 0, LONGEST_QUEUE).orElse(0);
  }

  @Override
  void create(AttachmentRequest request, Namespace host, Namespace sandbox)
      throws CniException, IOException {
    ConfigObject view = request.config().view();
    Optional<String> mac = RequestedMac.of(request);
    Master master = Master.find(view, host, sandbox);
    String name = request.attachment().interfaceName();
    NewLink link =
        NewLink.macvlan(name, master.link().index(), mode(view), queue(view)).mtu(master.mtu(view));
    mac.ifPresent(address -> link.mac(Mac.parse(address)));
    master.create(link, request, host, sandbox);
  }

  @Override
  void compare(AttachmentRequest request, Link link, Namespace host, Namespace sandbox)
      throws CniException, IOException {
    ConfigObject view = request.config().view();
    Modes.require(link, MODES, mode(view));
    Master.requireUnder(link, view, host, sandbox);
  }

  @Override
  void requireReady(NetworkRequest request) throws CniException {
    Master.requirePresent(request);
  }
}
