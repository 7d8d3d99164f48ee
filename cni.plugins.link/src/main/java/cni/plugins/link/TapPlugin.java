package cni.plugins.link;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.PluginConfig;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NewTap;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkChange;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.Mac;
import cni.sandbox.AttachmentCheck;
import cni.sandbox.InterfaceNames;
import cni.sandbox.Namespace;
import cni.sandbox.RequestedMac;
import java.io.IOException;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * Gives a container a tap device, whose packets a program reads and writes: a virtual machine in
 * the container.
 */
public final class TapPlugin extends InterfacePlugin {
  private static final int LARGEST_MTU = 65535;

  /** The plugin as the runtime makes it. */
  public TapPlugin() {
    super("tun"); // the kernel's name for both kinds
  }

  @Override
  public String type() {
    return "tap";
  }

  /** Nobody answers before a program has opened it, so that detection would not come to an end. */
  @Override
  boolean detectsDuplicates() {
    return false;
  }

  @Override
  void requireFeasible(PluginConfig config) throws CniException {
    ConfigObject view = config.view();
    view.bool("multiQueue");
    mtu(view);
    id(view, "owner");
    id(view, "group");
    RequestedMac.in(view);
    bridge(view);
    context(view);
  }

  private static int mtu(ConfigObject view) throws CniException {
    return view.integer("mtu", 0, LARGEST_MTU).orElse(0);
  }

  private static OptionalInt id(ConfigObject view, String key) throws CniException {
    OptionalLong id = view.unsigned(key);
    return id.isEmpty() ? OptionalInt.empty() : OptionalInt.of((int) id.getAsLong());
  }

  private static Optional<String> bridge(ConfigObject view) throws CniException {
    return view.nonEmpty("bridge");
  }

  private static Optional<String> context(ConfigObject view) throws CniException {
    return view.nonEmpty("selinuxContext");
  }

  @Override
  void create(AttachmentRequest request, Namespace host, Namespace sandbox)
      throws CniException, IOException {
    ConfigObject view = request.config().view();
    Optional<String> mac = RequestedMac.of(request);
    String name = request.attachment().interfaceName();
    if (sandbox.routing().link(name).isPresent()) {
      throw InterfaceNames.taken(request.attachment(), new IOException("File exists"));
    }
    var tap = new NewTap(name, view.bool("multiQueue"), id(view, "owner"), id(view, "group"));
    Optional<String> context = context(view);
    if (context.isPresent()) {
      LabelledTap.create(tap, context.get(), sandbox);
    } else {
      create(tap, sandbox);
    }
    try {
      configure(sandbox, sandbox.routing().links(name).getFirst(), view, mac);
    } catch (CniException | IOException | RuntimeException e) {
      sandbox.routing().executeUnless(LinkRequests.delete(name), Errno.ENODEV);
      throw e;
    }
  }

  private static void create(NewTap tap, Namespace sandbox) throws CniException, IOException {
    try {
      sandbox.<Boolean, KernelException>inside(
          () -> {
            tap.create();
            return true;
          });
    } catch (KernelException e) {
      if (e.is(Errno.ENOENT) || e.is(Errno.ENODEV)) {
        throw new CniException(
            ErrorCode.INTERNAL,
            "there are no tap devices here: /dev/net/tun is missing (modprobe tun): "
                + e.getMessage(),
            e);
      }
      throw e;
    }
  }

  /** The bridge, too, is in the container's namespace. */
  private static void configure(
      Namespace sandbox, Link tap, ConfigObject view, Optional<String> mac)
      throws CniException, IOException {
    var change = new LinkChange(tap.index());
    mac.ifPresent(address -> change.mac(Mac.parse(address)));
    if (mtu(view) != 0) {
      change.mtu(mtu(view));
    }
    Optional<String> bridge = bridge(view);
    if (bridge.isPresent()) {
      Optional<Link> master = sandbox.routing().link(bridge.get());
      if (master.filter(it -> it.isKind("bridge")).isEmpty()) {
        throw view.invalid("bridge", "is not a bridge in the container's namespace");
      }
      change.master(master.get().index());
    }
    if (!change.isEmpty()) {
      sandbox.routing().execute(change.request());
    }
  }

  @Override
  void compare(AttachmentRequest request, Link link, Namespace host, Namespace sandbox)
      throws CniException, IOException {
    Optional<String> bridge = bridge(request.config().view());
    if (bridge.isPresent()) {
      Optional<Link> master = sandbox.routing().link(bridge.get());
      if (master.isEmpty() || link.master() != master.get().index()) {
        throw AttachmentCheck.differs(
            "interface " + link.name() + " is not a port of bridge " + bridge.get());
      }
    }
  }
}
