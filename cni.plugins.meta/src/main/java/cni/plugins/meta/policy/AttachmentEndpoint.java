// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.RouteSocket;
import cni.plugins.meta.PreviousResult;
import cni.plugins.support.NetNsSession;
import cni.policy.AttachmentLabels;
import cni.policy.Endpoint;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * What policies have to know about an attachment, from the results of the plugins before and from
 * the kernel.
 */
final class AttachmentEndpoint {
  private AttachmentEndpoint() {}

  /** Returns what identifies an attachment. */
  static Endpoint.Id id(AttachmentRequest request) throws CniException {
    return id(request.config().network(), request.attachment().id());
  }

  /** Returns what identifies an attachment to a network. */
  static Endpoint.Id id(String network, AttachmentId id) {
    return new Endpoint.Id(network, id.containerId(), id.interfaceName());
  }

  /**
   * Reads an attachment.
   *
   * @param link the container's interface
   * @throws CniException code 7 if its labels are invalid, or if this host does not see its
   *     traffic: it is no veth, or its other end is neither the port of a bridge nor routed
   * @throws IOException if the kernel cannot be queried
   */
  static Endpoint read(
      AttachmentRequest request, NetNsSession host, NetNsSession container, Link link)
      throws CniException, IOException {
    Result previous = PreviousResult.require(request);
    Link hostEnd = requireHostEnd(link, host, container);
    List<Cidr> addresses =
        PreviousResult.containerIps(request, previous).stream()
            .map(Result.IpConfig::address)
            .toList();
    if (addresses.isEmpty()) {
      throw unenforceable(
          "%s has no address: policies identify containers by their addresses"
              .formatted(link.name()));
    }
    return new Endpoint(
        id(request),
        AttachmentLabels.labels(request),
        AttachmentLabels.ports(request),
        addresses,
        hostEnd.name(),
        bridge(hostEnd, host));
  }

  private static Link requireHostEnd(Link link, NetNsSession host, NetNsSession container)
      throws CniException, IOException {
    return host.rtnetlink()
        .hostPeers(List.of(new RouteSocket.VethPeer(container.netns(), link)))
        .getFirst()
        .orElseThrow(
            () ->
                unenforceable(
                    "%s is a %s: its packets do not pass the host's rules; use bridge or ptp"
                        .formatted(
                            link.name(), link.kind().isEmpty() ? "physical device" : link.kind())));
  }

  private static Optional<String> bridge(Link hostEnd, NetNsSession host)
      throws CniException, IOException {
    if (hostEnd.master() == 0) {
      return Optional.empty();
    }
    Link master =
        host.rtnetlink()
            .link(hostEnd.master())
            .orElseThrow(() -> unenforceable("the master of " + hostEnd.name() + " is gone"));
    if (!(master.kindData() instanceof Link.Bridge bridge)) {
      throw unenforceable(
          "%s belongs to %s, which is no bridge".formatted(hostEnd.name(), master.name()));
    }
    if (bridge.vlanFiltering()) {
      throw unenforceable(
          "bridge %s separates VLANs: policies do not distinguish their addresses"
              .formatted(master.name()));
    }
    return Optional.of(master.name());
  }

  private static CniException unenforceable(String why) {
    return new CniException(ErrorCode.INVALID_CONFIG, "policies cannot be enforced: " + why);
  }
}
