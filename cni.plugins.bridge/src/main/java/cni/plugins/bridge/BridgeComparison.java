// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.netlink.ffm.route.Link;
import cni.plugins.support.AddressComparison;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.Ipam;
import cni.plugins.support.LinkComparison;
import cni.plugins.support.Masquerade;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.VethMtuComparison;
import java.util.Optional;

/**
 * Comparison of an attachment with its desired state: bridge, port, the container's interface, its
 * addresses and routes, gateways, rules.
 */
final class BridgeComparison {
  private final UpdateRequest request;
  private final BridgeConfig current;
  private final BridgeConfig desired;
  private final NetNsSession host;
  private final NetNsSession container;
  private final Differences differences;

  BridgeComparison(
      UpdateRequest request, NetNsSession host, NetNsSession container, Differences differences)
      throws CniException {
    this.request = request;
    this.current = BridgePlugin.config(request.current());
    this.desired = BridgePlugin.config(request.desired());
    this.host = host;
    this.container = container;
    this.differences = differences;
  }

  /** Compares, and returns the desired result. */
  Result compare() throws CniException {
    if (!request.isUnchanged()) {
      ConfigObject view = request.desired().config().view();
      desired.requireConsistent(view);
      LinkComparison.requireMtu(view, desired.mtu(), before().ips());
    }
    Optional<Result> assigned = Ipam.compare(request, differences);
    Result stored = request.desired().requirePrevResult();
    int index = AttachmentCheck.requireIndex(request.desired(), stored);
    var results = new DesiredResult(request, current, desired, index);
    boolean own = adopted(stored).isEmpty();
    var mac =
        new MacComparison(
            request,
            current,
            desired,
            host,
            container,
            differences,
            stored.interfaces().get(index),
            own);
    Result result =
        request.isUnchanged()
            ? stored
            : results.of(assigned.orElse(stored), mac.desiredInterface());

    var device = new DeviceComparison(host, current, desired, differences);
    Optional<Link> bridge = device.compareBridge(expectedBridge(stored));
    Optional<Link> containerEnd = findContainerEnd(stored.interfaces().get(index).name(), own);
    if (containerEnd.isPresent()) {
      Optional<Link> port = comparePort(stored, bridge, containerEnd.get());
      mac.compare(containerEnd.get(), port);
      compareInterface(stored, result, index, containerEnd.get(), port);
    }
    if (desired.isGateway()) {
      boolean moved = !result.ipsOf(index).equals(before().ipsOf(index));
      device.compareGateways(bridge, result, index, moved || !current.isGateway());
    }
    compareMasquerade(result, index);
    return device.withAdoptedMac(result);
  }

  private Result before() throws CniException {
    return request.current().requirePrevResult();
  }

  private Result.Interface expectedBridge(Result stored) throws CniException {
    return stored
        .find(desired.bridge(), "")
        .orElseThrow(
            () ->
                new CniException(
                    ErrorCode.INVALID_CONFIG,
                    "prevResult has no interface " + desired.bridge() + " on the host"));
  }

  private LinkComparison containerLinks() {
    return LinkComparison.inContainer(container, request.desired(), differences);
  }

  private Optional<Link> findContainerEnd(String name, boolean own) throws CniException {
    Optional<Link> link = containerLinks().find(name);
    return link.isPresent() && own && !containerLinks().isKind(link.get(), "veth")
        ? Optional.empty()
        : link;
  }

  private Optional<Result.Interface> adopted(Result stored) {
    return BridgePlugin.adoptedInterface(stored, desired.bridge());
  }

  /** Finds and compares the bridge's port. */
  private Optional<Link> comparePort(Result stored, Optional<Link> bridge, Link containerEnd)
      throws CniException {
    var ports = new PortComparison(host, current, desired, differences);
    Optional<Result.Interface> adopted = adopted(stored);
    Optional<Link> port =
        adopted.isPresent()
            ? ports.findAdopted(adopted.get())
            : ports.findPeer(stored, containerEnd);
    if (port.isPresent()) {
      ports.compare(port.get(), bridge);
      if (adopted.isEmpty()) {
        mtu().compareHostEnd(LinkComparison.onHost(host, differences), port.get(), containerEnd);
      }
    }
    return port;
  }

  private VethMtuComparison mtu() {
    return VethMtuComparison.of(current.mtu(), desired.mtu(), request.desired().context());
  }

  private void compareInterface(
      Result stored, Result result, int index, Link link, Optional<Link> port) throws CniException {
    boolean ownsLink = adopted(stored).isEmpty();
    if (ownsLink) {
      mtu().compareContainerEnd(containerLinks(), link, port);
    }
    if (desired.containerInterfaceUp() && (ownsLink || desired.ipam().isPresent())) {
      containerLinks().compareUp(link);
    }
    new AddressComparison(container, link, request.desired(), differences)
        .compare(before(), result, index);
  }

  private void compareMasquerade(Result result, int index) throws CniException {
    AttachmentRequest attachment = request.desired();
    new Masquerade(host, attachment.config().network(), attachment.attachment().id())
        .compare(setting(current, before(), index), setting(desired, result, index), differences);
  }

  /** Only addresses of the plugin's own ipam section are masqueraded. */
  private static Masquerade.Setting setting(BridgeConfig config, Result result, int index) {
    return config.ipam().isPresent()
        ? Masquerade.Setting.of(config.masqueradeBackend(), result.ipsOf(index))
        : Masquerade.Setting.OFF;
  }
}
