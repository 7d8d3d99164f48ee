// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.ipvlan;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.Rollback;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkConstants;
import cni.netlink.ffm.route.LinkSpec;
import cni.plugins.main.InterfaceComparison;
import cni.plugins.main.InterfacePlugin;
import cni.plugins.main.LinkModes;
import cni.plugins.main.ParentLink;
import cni.plugins.support.Ipam;
import cni.plugins.support.LoopbackFilter;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The ipvlan plugin: gives a container an interface that shares the hardware address of its parent
 * link. As a chained plugin it uses the only interface of the previous result as the parent and, if
 * it has no ipam plugin, takes over the addresses of that result.
 */
public final class IpvlanPlugin extends InterfacePlugin {
  private static final Map<String, Integer> MODES =
      Map.of(
          "l2", LinkConstants.IPVLAN_MODE_L2,
          "l3", LinkConstants.IPVLAN_MODE_L3,
          "l3s", LinkConstants.IPVLAN_MODE_L3S);

  /** Creates the plugin, for the service loader. */
  public IpvlanPlugin() {
    super("ipvlan");
  }

  @Override
  protected void validate(PluginConfig config) throws CniException {
    mode(config.view());
    ParentLink.validate(config.view());
  }

  private static int mode(ConfigObject view) throws CniException {
    return LinkModes.parse(view, MODES, "l2");
  }

  @Override
  protected void create(AttachmentRequest request, NetNsSession host, NetNsSession container)
      throws CniException, IOException {
    ConfigObject view = request.config().view();
    ParentLink parent = ParentLink.find(view, parentName(request), host, container);
    String name = request.attachment().interfaceName();
    LinkSpec link =
        LinkSpec.ipvlan(name, parent.link().index(), mode(view)).mtu(parent.requestedMtu(view));
    parent.createUpper(link, request, host, container);
  }

  private static Optional<String> parentName(AttachmentRequest request) throws CniException {
    Optional<String> named = ParentLink.configuredName(request.config().view());
    Optional<Result> previous = LoopbackFilter.previousResult(request);
    if (named.isPresent() || previous.isEmpty()) {
      return named;
    }
    List<Result.Interface> interfaces = previous.get().interfaces();
    if (interfaces.size() != 1 || interfaces.getFirst().name().isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "master is missing, and prevResult does not have exactly one interface to use instead, but "
              + interfaces.stream().map(Result.Interface::name).toList());
    }
    return Optional.of(interfaces.getFirst().name());
  }

  /** Returns an empty result: as in the reference plugin, the result lists no other interface. */
  @Override
  protected Result baseResult(AttachmentRequest request) {
    return Result.EMPTY;
  }

  @Override
  protected Optional<Result> assignAddresses(
      AttachmentRequest request, Rollback rollback, Ipam.Detach detach) throws CniException {
    Optional<Result> own = super.assignAddresses(request, rollback, detach);
    return own.isPresent()
        ? own
        : LoopbackFilter.previousResult(request).filter(it -> !it.ips().isEmpty());
  }

  @Override
  protected boolean hasOwnMac() {
    return false;
  }

  @Override
  public Set<String> changeableKeys() {
    return Set.of("mtu", "dns");
  }

  /**
   * {@inheritDoc}
   *
   * <p>The mode cannot be changed: it is that of all ipvlan interfaces of the parent, whichever
   * container they are in (ipvlan_set_port_mode in drivers/net/ipvlan/ipvlan_main.c).
   */
  @Override
  protected void compareLink(InterfaceComparison comparison, Link link)
      throws CniException, IOException {
    int expected = mode(comparison.request().desired().config().view());
    LinkModes.mismatch(link, MODES, expected).ifPresent(comparison.differences()::addUnchangeable);
    ParentLink.compare(
        comparison, link, comparison.request().desired().context().mayBeSetLater("mtu"));
  }

  /** Checks a configured parent only: otherwise it may be an interface of an earlier plugin. */
  @Override
  protected void requireReady(ConfigObject view, NetNsSession host)
      throws CniException, IOException {
    if (ParentLink.configuredName(view).isPresent()) {
      ParentLink.requirePresent(view, host);
    }
  }
}
