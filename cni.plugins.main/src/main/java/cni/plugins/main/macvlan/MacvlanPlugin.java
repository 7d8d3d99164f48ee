// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.macvlan;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.PluginConfig;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkConstants;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkSpec;
import cni.netlink.ffm.route.Mac;
import cni.plugins.main.InterfaceComparison;
import cni.plugins.main.InterfacePlugin;
import cni.plugins.main.LinkModes;
import cni.plugins.main.ParentLink;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RequestedMac;
import java.io.IOException;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The macvlan plugin: gives a container an interface with its own hardware address on a parent
 * link.
 */
public final class MacvlanPlugin extends InterfacePlugin {
  private static final Map<String, Integer> MODES =
      Map.of(
          "bridge", LinkConstants.MACVLAN_MODE_BRIDGE,
          "private", LinkConstants.MACVLAN_MODE_PRIVATE,
          "vepa", LinkConstants.MACVLAN_MODE_VEPA,
          "passthru", LinkConstants.MACVLAN_MODE_PASSTHRU);

  private static final int MAX_QUEUE_LENGTH = Integer.MAX_VALUE;

  /** Creates the plugin, for the service loader. */
  public MacvlanPlugin() {
    super("macvlan");
  }

  @Override
  protected void validate(PluginConfig config) throws CniException {
    mode(config.view());
    broadcastQueueLength(config.view());
    ParentLink.validate(config.view());
    RequestedMac.validate(config);
  }

  private static int mode(ConfigObject view) throws CniException {
    return LinkModes.parse(view, MODES, "bridge");
  }

  private static int broadcastQueueLength(ConfigObject view) throws CniException {
    return view.integer("bcqueuelen", 0, MAX_QUEUE_LENGTH).orElse(0);
  }

  @Override
  protected void create(AttachmentRequest request, NetNsSession host, NetNsSession container)
      throws CniException, IOException {
    ConfigObject view = request.config().view();
    Optional<String> mac = RequestedMac.of(request);
    ParentLink parent = ParentLink.find(view, host, container);
    String name = request.attachment().interfaceName();
    LinkSpec link =
        LinkSpec.macvlan(name, parent.link().index(), mode(view), broadcastQueueLength(view))
            .mtu(parent.requestedMtu(view));
    mac.ifPresent(address -> link.mac(Mac.parse(address)));
    parent.createUpper(link, request, host, container);
  }

  @Override
  public Set<String> changeableKeys() {
    return Set.of("mtu", "mode", "dns");
  }

  @Override
  protected void compareLink(InterfaceComparison comparison, Link link)
      throws CniException, IOException {
    int expected = mode(comparison.request().desired().config().view());
    Optional<String> mismatch = LinkModes.mismatch(link, MODES, expected);
    if (mismatch.isPresent()) {
      int actual = LinkModes.number(link).orElseThrow();
      if (isPassthru(actual) == isPassthru(expected)) {
        comparison
            .links()
            .change(
                mismatch.get(),
                "set the mode of %s to %s".formatted(link.name(), LinkModes.name(MODES, expected)),
                LinkRequests.setMacvlanMode(link.index(), expected),
                LinkRequests.setMacvlanMode(link.index(), actual));
      } else {
        comparison.differences().addUnchangeable(mismatch.get());
      }
    }
    ParentLink.compare(
        comparison, link, comparison.request().desired().context().mayBeSetLater("mtu"));
  }

  /** The kernel sets this mode, and changes it to another, only by creating the interface. */
  private static boolean isPassthru(int mode) {
    return mode == LinkConstants.MACVLAN_MODE_PASSTHRU;
  }

  @Override
  protected void requireReady(ConfigObject view, NetNsSession host)
      throws CniException, IOException {
    ParentLink.requirePresent(view, host);
  }
}
