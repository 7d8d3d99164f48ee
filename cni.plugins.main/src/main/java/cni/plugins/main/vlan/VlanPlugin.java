package cni.plugins.main.vlan;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkSpec;
import cni.plugins.main.InterfacePlugin;
import cni.plugins.main.ParentLink;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.NetNsSession;
import java.io.IOException;

/** Gives a container the interface of one VLAN of a link of the host. */
public final class VlanPlugin extends InterfacePlugin {
  private static final int MAX_VLAN_ID = 4094;

  /** The plugin as the runtime makes it. */
  public VlanPlugin() {
    super("vlan");
  }

  @Override
  protected void validate(PluginConfig config) throws CniException {
    ConfigObject view = config.view();
    if (ParentLink.configuredName(view).isEmpty()) {
      throw view.invalid("master", "is missing: name the interface that carries the VLAN");
    }
    vlanId(view);
  }

  /** As for the reference plugin, 0 where none is given. */
  private static int vlanId(ConfigObject view) throws CniException {
    return view.integer("vlanId", 0, MAX_VLAN_ID).orElse(0);
  }

  @Override
  protected void create(AttachmentRequest request, NetNsSession host, NetNsSession sandbox)
      throws CniException, IOException {
    ConfigObject view = request.config().view();
    ParentLink master = ParentLink.find(view, host, sandbox);
    String name = request.attachment().interfaceName();
    LinkSpec link =
        LinkSpec.vlan(name, master.link().index(), vlanId(view)).mtu(master.requestedMtu(view));
    master.createUpper(link, request, host, sandbox);
  }

  @Override
  protected void checkLink(
      AttachmentRequest request, Link link, NetNsSession host, NetNsSession sandbox)
      throws CniException, IOException {
    ConfigObject view = request.config().view();
    if (link.kindData() instanceof Link.Vlan(int id) && id != vlanId(view)) {
      throw AttachmentCheck.mismatch(
          "interface %s is of VLAN %d, expected %d".formatted(link.name(), id, vlanId(view)));
    }
    int mtu = view.integer("mtu", 0, Integer.MAX_VALUE).orElse(0);
    if (mtu != 0 && mtu != link.mtu()) {
      throw AttachmentCheck.mismatch(
          "interface %s has MTU %d, expected %d".formatted(link.name(), link.mtu(), mtu));
    }
    ParentLink.requireParent(link, view, host, sandbox);
  }

  @Override
  protected void requireReady(NetworkRequest request) throws CniException {
    ParentLink.requirePresent(request);
  }
}
