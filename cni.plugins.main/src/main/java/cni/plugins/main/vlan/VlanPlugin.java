// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.vlan;

import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.PluginConfig;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkSpec;
import cni.plugins.main.InterfaceComparison;
import cni.plugins.main.InterfacePlugin;
import cni.plugins.main.ParentLink;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.Set;

/** The vlan plugin: gives a container an interface in an 802.1Q VLAN of a parent link. */
public final class VlanPlugin extends InterfacePlugin {
  private static final int MAX_VLAN_ID = 4094;

  /** Creates the plugin, for the service loader. */
  public VlanPlugin() {
    super("vlan");
  }

  @Override
  protected void validate(PluginConfig config) throws CniException {
    ConfigObject view = config.view();
    ParentLink.validate(view);
    vlanId(view);
    if (ParentLink.configuredName(view).isEmpty()) {
      throw view.invalid("master", "is missing: name the interface that carries the VLAN");
    }
  }

  /** Reads {@code vlanId}; 0 by default, as in the reference plugin. */
  private static int vlanId(ConfigObject view) throws CniException {
    return view.integer("vlanId", 0, MAX_VLAN_ID).orElse(0);
  }

  @Override
  protected void create(AttachmentRequest request, NetNsSession host, NetNsSession container)
      throws CniException, IOException {
    ConfigObject view = request.config().view();
    ParentLink parent = ParentLink.find(view, host, container);
    String name = request.attachment().interfaceName();
    LinkSpec link =
        LinkSpec.vlan(name, parent.link().index(), vlanId(view)).mtu(parent.requestedMtu(view));
    parent.createUpper(link, request, host, container);
  }

  @Override
  public Set<String> changeableKeys() {
    return Set.of("mtu", "dns");
  }

  @Override
  protected void compareLink(InterfaceComparison comparison, Link link)
      throws CniException, IOException {
    ConfigObject view = comparison.request().desired().config().view();
    if (link.kindData() instanceof Link.Vlan(int id) && id != vlanId(view)) {
      comparison
          .differences()
          .addUnchangeable(
              "interface %s has VLAN id %d, expected %d".formatted(link.name(), id, vlanId(view)));
    }
    CallContext context = comparison.request().desired().context();
    // As the reference, an executable compares the MTU, although it does not know the chain.
    boolean isMtuShared = context.laterPlugins().isPresent() && context.mayBeSetLater("mtu");
    ParentLink.compare(comparison, link, isMtuShared);
  }

  @Override
  protected void requireReady(ConfigObject view, NetNsSession host)
      throws CniException, IOException {
    ParentLink.requirePresent(view, host);
  }
}
