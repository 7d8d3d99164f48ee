// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.dummy;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.PluginConfig;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.LinkSpec;
import cni.plugins.main.InterfacePlugin;
import cni.plugins.support.DuplicateInterfaceName;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.Set;

/** The dummy plugin: gives a container an interface that drops every packet, to carry addresses. */
public final class DummyPlugin extends InterfacePlugin {
  private static final String DUMMY = "dummy";

  /** Creates the plugin, for the service loader. */
  public DummyPlugin() {
    super(DUMMY);
  }

  @Override
  protected void validate(PluginConfig config) throws CniException {
    if (config.ipamType().isEmpty()) {
      throw config
          .view()
          .invalid("ipam", "is missing: a dummy interface only serves to carry addresses");
    }
  }

  @Override
  protected void create(AttachmentRequest request, NetNsSession host, NetNsSession container)
      throws CniException, IOException {
    try {
      LinkSpec link = LinkSpec.of(DUMMY, request.attachment().interfaceName());
      container.rtnetlink().execute(link.request());
    } catch (NetlinkException e) {
      if (e.is(Errno.EEXIST)) {
        throw DuplicateInterfaceName.error(request.attachment(), e);
      }
      throw e;
    }
  }

  @Override
  public Set<String> changeableKeys() {
    return Set.of("dns");
  }
}
