package cni.plugins.meta.bandwidth;

import cni.api.Cidr;
import cni.api.CniException;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.tc.HtbClass;
import cni.netlink.ffm.tc.Qdisc;
import cni.netlink.ffm.tc.TcConstants;
import cni.netlink.ffm.tc.TcFilter;
import cni.netlink.ffm.tc.TokenBucket;
import cni.plugins.support.AttachmentCheck;
import java.io.IOException;
import java.util.ArrayList;
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
    BandwidthConfig.Rate rate,
    List<Cidr> subnets,
    boolean onlySubnetsShaped,
    boolean isTowardsContainer) {
  /** The handle of the qdisc, 1:0. */
  static final int ROOT_HANDLE = TcConstants.handle(1, 0);

  private static final int UNSHAPED_CLASS = 1;
  private static final int SHAPED_CLASS = 0x30;

  /** More than any link can send. */
  private static final long UNLIMITED_BYTES_PER_SECOND = 100_000_000_000L;

  private static final int CLASS_QUEUE_PACKETS = 1000;

  // The kernel requires different priorities for filters of different protocols.
  private static final int V4_PRIORITY = 16;
  private static final int V6_PRIORITY = 15;

  /** Returns the transmit queue length for an ifb; 0 for tbf, which has its own queue. */
  int queueLength() {
    return subnets.isEmpty() ? 0 : CLASS_QUEUE_PACKETS;
  }

  /** Returns the requests that install the qdisc on a link. */
  List<NetlinkRequest> requests(int link) {
    if (subnets.isEmpty()) {
      return List.of(Qdisc.addTbf(link, ROOT_HANDLE, TcConstants.ROOT, rate.bucket()));
    }
    List<NetlinkRequest> requests = new ArrayList<>();
    int defaultClass = onlySubnetsShaped ? UNSHAPED_CLASS : SHAPED_CLASS;
    int subnetClass = onlySubnetsShaped ? SHAPED_CLASS : UNSHAPED_CLASS;
    var shaped =
        new HtbClass(
            TcConstants.handle(1, SHAPED_CLASS), rate.bitsPerSecond() / 8, rate.burstBits() / 8);
    var unshaped =
        new HtbClass(TcConstants.handle(1, UNSHAPED_CLASS), UNLIMITED_BYTES_PER_SECOND, 0);
    requests.add(Qdisc.addHtb(link, ROOT_HANDLE, TcConstants.ROOT, defaultClass));
    requests.add(shaped.addRequest(link, ROOT_HANDLE));
    requests.add(unshaped.addRequest(link, ROOT_HANDLE));
    for (Cidr subnet : subnets) {
      requests.add(
          TcFilter.classify(
              link,
              ROOT_HANDLE,
              subnet.isV4() ? V4_PRIORITY : V6_PRIORITY,
              subnet.network().address(),
              subnet.prefix(),
              isTowardsContainer,
              TcConstants.handle(1, subnetClass)));
    }
    return requests;
  }

  /**
   * Requires that the qdisc is installed on a link.
   *
   * @throws CniException naming what differs
   */
  void check(RouteSocket routing, Link link) throws CniException, IOException {
    List<Qdisc> qdiscs =
        Qdisc.list(routing, link.index()).stream()
            .filter(it -> it.parent() == TcConstants.ROOT)
            .toList();
    String kind = subnets.isEmpty() ? "tbf" : "htb";
    if (qdiscs.isEmpty() || !qdiscs.getFirst().kind().equals(kind)) {
      throw AttachmentCheck.mismatch(
          "interface %s has qdisc %s, expected %s"
              .formatted(link.name(), qdiscs.isEmpty() ? "none" : qdiscs.getFirst().kind(), kind));
    }
    Optional<TokenBucket> bucket = qdiscs.getFirst().bucket();
    if (bucket.isPresent() && !bucket.get().equals(rate.bucket())) {
      throw AttachmentCheck.mismatch(
          "interface %s has a token bucket filter with %s, expected %s"
              .formatted(link.name(), bucket.get(), rate.bucket()));
    }
    if (!subnets.isEmpty()) {
      long filters =
          TcFilter.list(routing, link.index(), ROOT_HANDLE).stream()
              .filter(filter -> filter.kind().equals("u32"))
              .count();
      if (filters < subnets.size()) {
        throw AttachmentCheck.mismatch(
            "interface %s has %d filters, expected one for each of %s"
                .formatted(link.name(), filters, subnets));
      }
    }
  }
}
