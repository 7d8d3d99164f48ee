// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.tap;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.PluginConfig;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkUpdate;
import cni.netlink.ffm.route.Mac;
import cni.netlink.ffm.route.TapSpec;
import cni.plugins.main.InterfaceComparison;
import cni.plugins.main.InterfacePlugin;
import cni.plugins.support.DuplicateInterfaceName;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RequestedMac;
import java.io.IOException;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;

/**
 * The tap plugin: gives a container a tap device, whose frames a program such as a virtual machine
 * monitor reads and writes.
 */
public final class TapPlugin extends InterfacePlugin {
  private static final int MAX_MTU = 65535;

  /** Creates the plugin, for the service loader. */
  public TapPlugin() {
    super("tun"); // the kernel's kind for tun and tap devices
  }

  @Override
  public String type() {
    return "tap";
  }

  /** Without a program that has opened the device there is no carrier, and DAD would not end. */
  @Override
  protected boolean usesDad() {
    return false;
  }

  @Override
  protected void validate(PluginConfig config) throws CniException {
    ConfigObject view = config.view();
    view.bool("multiQueue");
    mtu(view);
    idOrEmpty(view, "owner");
    idOrEmpty(view, "group");
    RequestedMac.validate(config);
    bridge(view);
    selinuxContext(view);
  }

  private static int mtu(ConfigObject view) throws CniException {
    return view.integer("mtu", 0, MAX_MTU).orElse(0);
  }

  private static OptionalInt idOrEmpty(ConfigObject view, String key) throws CniException {
    OptionalLong id = view.uint32(key);
    return id.isEmpty() ? OptionalInt.empty() : OptionalInt.of((int) id.getAsLong());
  }

  private static Optional<String> bridge(ConfigObject view) throws CniException {
    return view.nonEmpty("bridge");
  }

  private static Optional<String> selinuxContext(ConfigObject view) throws CniException {
    return view.nonEmpty("selinuxContext");
  }

  @Override
  protected void create(AttachmentRequest request, NetNsSession host, NetNsSession container)
      throws CniException, IOException {
    ConfigObject view = request.config().view();
    Optional<String> mac = RequestedMac.of(request);
    String name = request.attachment().interfaceName();
    if (container.rtnetlink().link(name).isPresent()) {
      throw DuplicateInterfaceName.error(request.attachment(), new IOException("File exists"));
    }
    var tap =
        new TapSpec(
            name, view.bool("multiQueue"), idOrEmpty(view, "owner"), idOrEmpty(view, "group"));
    Optional<String> context = selinuxContext(view);
    if (context.isPresent()) {
      SelinuxTap.create(tap, context.get(), container);
    } else {
      create(tap, container);
    }
    try {
      configure(container, container.rtnetlink().links(name).getFirst(), view, mac);
    } catch (CniException | IOException | RuntimeException e) {
      container.rtnetlink().executeIgnoring(LinkRequests.delete(name), Errno.ENODEV);
      throw e;
    }
  }

  private static void create(TapSpec tap, NetNsSession container) throws CniException, IOException {
    try {
      container.<Boolean, KernelException>callInside(
          () -> {
            tap.create();
            return true;
          });
    } catch (KernelException e) {
      if (e.is(Errno.ENOENT) || e.is(Errno.ENODEV)) {
        throw new CniException(
            ErrorCode.INTERNAL,
            "the kernel lacks tap devices: /dev/net/tun is missing (modprobe tun): "
                + e.getMessage(),
            e);
      }
      throw e;
    }
  }

  /** Applies the optional settings. The bridge is in the container's namespace, too. */
  private static void configure(
      NetNsSession container, Link tap, ConfigObject view, Optional<String> mac)
      throws CniException, IOException {
    var change = new LinkUpdate(tap.index());
    mac.ifPresent(address -> change.mac(Mac.parse(address)));
    if (mtu(view) != 0) {
      change.mtu(mtu(view));
    }
    Optional<String> bridge = bridge(view);
    if (bridge.isPresent()) {
      Optional<Link> bridgeLink = container.rtnetlink().link(bridge.get());
      change.master(requireBridge(view, bridgeLink).index());
    }
    if (!change.isEmpty()) {
      container.rtnetlink().execute(change.request());
    }
  }

  private static Link requireBridge(ConfigObject view, Optional<Link> found) throws CniException {
    return found
        .filter(it -> it.isKind("bridge"))
        .orElseThrow(() -> view.invalid("bridge", "is not a bridge in the container's namespace"));
  }

  @Override
  public Set<String> changeableKeys() {
    return Set.of("mtu", "bridge", "dns");
  }

  @Override
  protected void compareLink(InterfaceComparison comparison, Link link)
      throws CniException, IOException {
    ConfigObject current = comparison.request().current().config().view();
    ConfigObject desired = comparison.request().desired().config().view();
    if (mtu(current) != mtu(desired)) {
      comparison.requireMtuForIpv6();
      comparison.links().compareMtu(link, mtu(current), mtu(desired));
    } else if (!comparison.request().desired().context().mayBeSetLater("mtu")) {
      comparison.links().compareMtu(link, mtu(desired));
    }
    Optional<String> wanted = bridge(desired);
    Optional<String> before = bridge(current);
    if (wanted.isPresent()) {
      comparePort(comparison, link, wanted.get(), !wanted.equals(before));
    } else if (before.isPresent()) {
      compareNoPort(comparison, link, before.get());
    }
  }

  private static void comparePort(
      InterfaceComparison comparison, Link link, String bridge, boolean isNew)
      throws CniException, IOException {
    Optional<Link> found = comparison.container().rtnetlink().link(bridge);
    String finding = "interface " + link.name() + " is not a port of bridge " + bridge;
    if (isNew) {
      requireBridge(comparison.request().desired().config().view(), found);
    }
    if (found.isEmpty()) {
      comparison.differences().addUnchangeable(finding);
    } else if (link.master() != found.get().index()) {
      String description = "add %s to bridge %s".formatted(link.name(), bridge);
      changeMaster(comparison, link, found.get().index(), finding, description);
    }
  }

  private static void compareNoPort(InterfaceComparison comparison, Link link, String bridge)
      throws CniException, IOException {
    Optional<Link> found = comparison.container().rtnetlink().link(bridge);
    if (found.isPresent() && link.master() == found.get().index()) {
      String finding = "interface " + link.name() + " is a port of bridge " + bridge;
      String description = "remove %s from bridge %s".formatted(link.name(), bridge);
      changeMaster(comparison, link, 0, finding, description);
    }
  }

  private static void changeMaster(
      InterfaceComparison comparison, Link link, int master, String finding, String description) {
    comparison
        .links()
        .change(
            finding,
            description,
            LinkRequests.setMaster(link.index(), master),
            LinkRequests.setMaster(link.index(), link.master()));
  }
}
