package cni.plugins.link;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.PluginConfig;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.NewLink;
import cni.sandbox.InterfaceNames;
import cni.sandbox.Namespace;
import java.io.IOException;

/** Gives a container an interface that leads nowhere, to carry addresses. */
public final class DummyPlugin extends InterfacePlugin {
  private static final String DUMMY = "dummy";

  /** The plugin as the runtime makes it. */
  public DummyPlugin() {
    super(DUMMY);
  }

  @Override
  void requireFeasible(PluginConfig config) throws CniException {
    if (config.ipamType().isEmpty()) {
      throw config
          .view()
          .invalid("ipam", "is missing: an interface that leads nowhere is of use for addresses");
    }
  }

  @Override
  void create(AttachmentRequest request, Namespace host, Namespace sandbox)
      throws CniException, IOException {
    try {
      NewLink link = NewLink.of(DUMMY, request.attachment().interfaceName());
      sandbox.routing().execute(link.request());
    } catch (NetlinkException e) {
      if (e.is(Errno.EEXIST)) {
        throw InterfaceNames.taken(request.attachment(), e);
      }
      throw e;
    }
  }
}
