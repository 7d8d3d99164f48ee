// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.bandwidth;

import cni.api.BandwidthLimit;
import cni.api.Cidr;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.tc.HtbClass;
import cni.netlink.ffm.tc.Qdisc;
import cni.netlink.ffm.tc.TcConstants;
import cni.netlink.ffm.tc.TcFilter;
import cni.netlink.ffm.tc.TokenBucket;
import java.util.List;
import java.util.Optional;

/**
 * The qdisc that limits what a link sends: a token bucket filter (tc-tbf(8)), as the reference
 * plugin's, or, if the limit does not apply to all peers, a hierarchical token bucket (tc-htb(8))
 * with a shaped and an unshaped class.
 *
 * @param rate the limit
 * @param subnets the peers that are shaped or exempt; empty if all are shaped
 * @param onlySubnetsShaped whether the subnets are shaped, or else exempt
 * @param isTowardsContainer whether the link sends to the container: then the subnets are matched
 *     with the source of packets, otherwise with their destination
 */
record TrafficShaper(
    BandwidthLimit.Rate rate,
    List<Cidr> subnets,
    boolean onlySubnetsShaped,
    boolean isTowardsContainer) {
  /** The handle of the qdisc, 1:0. */
  static final int ROOT_HANDLE = TcConstants.handle(1, 0);

  private static final int UNSHAPED_CLASS = 1;
  private static final int SHAPED_CLASS = 0x30;
  private static final int CLASS_QUEUE_PACKETS = 1000;

  // The kernel requires different priorities for filters of different protocols.
  private static final int V4_PRIORITY = 16;
  private static final int V6_PRIORITY = 15;

  /** Returns the shaper of what the container receives; empty if that is not limited. */
  static Optional<TrafficShaper> ingress(BandwidthConfig config) {
    return config.ingress().map(it -> of(it, config, true));
  }

  /** Returns the shaper of what the container sends; empty if that is not limited. */
  static Optional<TrafficShaper> egress(BandwidthConfig config) {
    return config.egress().map(it -> of(it, config, false));
  }

  private static TrafficShaper of(
      BandwidthLimit.Rate rate, BandwidthConfig config, boolean isTowardsContainer) {
    return new TrafficShaper(
        rate, config.subnets(), config.onlySubnetsShaped(), isTowardsContainer);
  }

  /** Returns the transmit queue length for an ifb; 0 for tbf, which has its own queue. */
  int queueLength() {
    return subnets.isEmpty() ? 0 : CLASS_QUEUE_PACKETS;
  }

  /** Returns the requests that install the qdisc on a link. */
  List<NetlinkRequest> requests(int link) {
    return tree().requests(link);
  }

  /** Returns the qdisc. */
  QdiscTree tree() {
    if (subnets.isEmpty()) {
      var root = new Qdisc(0, "tbf", ROOT_HANDLE, TcConstants.ROOT, Optional.of(bucket()), 0, 0);
      return new QdiscTree(root, List.of(), List.of());
    }
    int defaultClass = onlySubnetsShaped ? UNSHAPED_CLASS : SHAPED_CLASS;
    return new QdiscTree(
        new Qdisc(0, "htb", ROOT_HANDLE, TcConstants.ROOT, Optional.empty(), defaultClass, 0),
        List.of(
            HtbClass.of(classHandle(true), rate.bitsPerSecond() / 8, rate.burstBits() / 8),
            HtbClass.of(classHandle(false), QdiscTree.UNLIMITED_BYTES_PER_SECOND, 0)),
        subnets.stream().map(this::filter).toList());
  }

  /** Returns the rate as the kernel has it. */
  TokenBucket bucket() {
    return TokenBucket.of(rate.bitsPerSecond(), rate.burstBits());
  }

  private static int classHandle(boolean shaped) {
    return TcConstants.handle(1, shaped ? SHAPED_CLASS : UNSHAPED_CLASS);
  }

  private TcFilter filter(Cidr subnet) {
    return TcFilter.classifier(
        subnet.isV4() ? V4_PRIORITY : V6_PRIORITY,
        subnet.network().address(),
        subnet.prefix(),
        isTowardsContainer,
        classHandle(onlySubnetsShaped));
  }

  /** Returns the limit for descriptions. */
  String describe() {
    return BitUnits.rate(rate.bitsPerSecond())
        + " with a burst of "
        + BitUnits.bits(rate.burstBits());
  }
}
