package cni.plugins.link;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.NewLink;
import cni.sandbox.AttachmentCheck;
import cni.sandbox.Namespace;
import java.io.IOException;

/** Gives a container the interface of one VLAN of a link of the host. */
public final class VlanPlugin extends InterfacePlugin {
  private static final int LAST_ID = 4094;

  /** The plugin as the runtime makes it. */
  public VlanPlugin() {
    super("vlan");
  }

  @Override
  void requireFeasible(PluginConfig config) throws CniException {
    ConfigObject view = config.view();
    if (Master.name(view).isEmpty()) {
      throw view.invalid("master", "is missing: name the interface that carries the VLAN");
    }
    id(view);
  }

  /** As for the reference plugin, 0 where none is given. */
  private static int id(ConfigObject view) throws CniException {
    return view.integer("vlanId", 0, LAST_ID).orElse(0);
  }

  @Override
  void create(AttachmentRequest request, Namespace host, Namespace sandbox)
      throws CniException, IOException {
    ConfigObject view = request.config().view();
    Master master = Master.find(view, host, sandbox);
    String name = request.attachment().interfaceName();
    NewLink link = NewLink.vlan(name, master.link().index(), id(view)).mtu(master.mtu(view));
    master.create(link, request, host, sandbox);
  }

  @Override
  void compare(AttachmentRequest request, Link link, Namespace host, Namespace sandbox)
      throws CniException, IOException {
    ConfigObject view = request.config().view();
    if (link.detail() instanceof Link.Vlan(int id) && id != id(view)) {
      throw AttachmentCheck.differs(
          "interface %s is of VLAN %d, expected %d".formatted(link.name(), id, id(view)));
    }
    int mtu = view.integer("mtu", 0, Integer.MAX_VALUE).orElse(0);
    if (mtu != 0 && mtu != link.mtu()) {
      throw AttachmentCheck.differs(
          "interface %s has MTU %d, expected %d".formatted(link.name(), link.mtu(), mtu));
    }
    Master.requireUnder(link, view, host, sandbox);
  }

  @Override
  void requireReady(NetworkRequest request) throws CniException {
    Master.requirePresent(request);
  }
}
