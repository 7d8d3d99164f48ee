// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.bandwidth;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.tc.Qdisc;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Compares the limits of an attachment with the desired ones. */
final class BandwidthComparison {
  private final BandwidthConfig current;
  private final BandwidthConfig desired;
  private final ShapingIfb ifb;
  private final Differences differences;

  private BandwidthComparison(
      BandwidthConfig current, BandwidthConfig desired, ShapingIfb ifb, Differences differences) {
    this.current = current;
    this.desired = desired;
    this.ifb = ifb;
    this.differences = differences.of(Differences.Kind.SHAPING);
  }

  /**
   * Adds the differences.
   *
   * @return the desired result
   */
  static Result compare(UpdateRequest request, Differences differences) throws CniException {
    AttachmentRequest wanted = request.desired();
    BandwidthConfig desired = BandwidthConfig.parse(wanted.config());
    BandwidthConfig current =
        request.isUnchanged() ? desired : BandwidthConfig.parse(request.current().config());
    Result previous = wanted.requirePrevResult();
    NetNsSession host = differences.keep(NetNsSession.openHost(wanted.context()));
    NetNsSession container = differences.keep(NetNsSession.openContainer(wanted, host));
    if (desired.isUnlimited() && current.isUnlimited()) {
      return previous;
    }
    try {
      Optional<Link> link = AttachmentCheck.findInterface(wanted, container, differences);
      if (link.isEmpty()) {
        return previous;
      }
      Link veth = BandwidthPlugin.requireHostVeth(link.get(), previous, host);
      ShapingIfb ifb = ShapingIfb.of(wanted.config().network(), wanted.attachment().id());
      return new BandwidthComparison(current, desired, ifb, differences)
          .compare(previous, host, veth);
    } catch (IOException e) {
      throw NetNsSession.failure(
          "checking the bandwidth limits of " + wanted.attachment().interfaceName(), e);
    }
  }

  private Result compare(Result previous, NetNsSession host, Link veth)
      throws CniException, IOException {
    if (desired.ingress().isPresent() || current.ingress().isPresent()) {
      new ShaperComparison(host.rtnetlink(), veth, differences)
          .compare(
              Qdisc.list(host.rtnetlink(), veth.index()),
              TrafficShaper.ingress(current),
              TrafficShaper.ingress(desired));
    }
    var egress = new EgressComparison(host, veth, ifb, differences);
    Optional<TrafficShaper> shaper = TrafficShaper.egress(desired);
    if (shaper.isPresent()) {
      Optional<Result.Interface> reported =
          previous.interfaces().stream().filter(ifb::isIn).findFirst();
      int mtu = previous.find(veth.name(), "").map(Result.Interface::mtu).orElse(0);
      Result.Interface device =
          egress.compare(TrafficShaper.egress(current), shaper.get(), reported, mtu);
      return reported.filter(device::equals).isPresent()
          ? previous
          : withDevice(previous.withoutInterfaces(ifb::isIn), device);
    }
    if (current.egress().isPresent()) {
      egress.compareUnlimited();
      return previous.withoutInterfaces(ifb::isIn);
    }
    return previous;
  }

  private static Result withDevice(Result result, Result.Interface device) {
    List<Result.Interface> interfaces = new ArrayList<>(result.interfaces());
    interfaces.add(device);
    return result.withInterfaces(interfaces);
  }
}
