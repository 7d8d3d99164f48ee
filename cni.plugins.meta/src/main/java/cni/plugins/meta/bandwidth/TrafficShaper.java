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
 * What a link sends, slowed down to a rate: by a token bucket filter, as the reference plugin does
 * it, or where it is not for everybody by a hierarchical one with two classes.
 *
 * @param rate the rate
 * @param subnets whom it is for, or not for; empty if it is for everybody
 * @param onlySubnetsShaped whether it is for them
 * @param isTowardsContainer whether the link leads to the container, so that the subnets are where
 *     packets come from and not where they go to
 */
record TrafficShaper(
    BandwidthConfig.Rate rate,
    List<Cidr> subnets,
    boolean onlySubnetsShaped,
    boolean isTowardsContainer) {
  private static final int QDISC = TcConstants.handle(1, 0);
  private static final int UNSHAPED_CLASS = 1;
  private static final int SHAPED_CLASS = 0x30;

  /** In bytes per second, more than any link can do. */
  private static final long UNLIMITED_BYTES_PER_SECOND = 100_000_000_000L;

  private static final int CLASS_QUEUE_PACKETS = 1000;

  // Filters for different protocols need different priorities.
  private static final int V4_PRIORITY = 16;
  private static final int V6_PRIORITY = 15;

  /** How many packets may wait on an ifb; a token bucket filter has a queue of its own. */
  int queueLength() {
    return subnets.isEmpty() ? 0 : CLASS_QUEUE_PACKETS;
  }

  /** The requests that slow a link down. */
  List<NetlinkRequest> requests(int link) {
    if (subnets.isEmpty()) {
      return List.of(Qdisc.addTbf(link, QDISC, TcConstants.ROOT, rate.bucket()));
    }
    List<NetlinkRequest> requests = new ArrayList<>();
    int others = onlySubnetsShaped ? UNSHAPED_CLASS : SHAPED_CLASS;
    int theirs = onlySubnetsShaped ? SHAPED_CLASS : UNSHAPED_CLASS;
    var slow =
        new HtbClass(
            TcConstants.handle(1, SHAPED_CLASS), rate.bitsPerSecond() / 8, rate.burstBits() / 8);
    var fast = new HtbClass(TcConstants.handle(1, UNSHAPED_CLASS), UNLIMITED_BYTES_PER_SECOND, 0);
    requests.add(Qdisc.addHtb(link, QDISC, TcConstants.ROOT, others));
    requests.add(slow.addRequest(link, QDISC));
    requests.add(fast.addRequest(link, QDISC));
    for (Cidr subnet : subnets) {
      requests.add(
          TcFilter.classify(
              link,
              QDISC,
              subnet.isV4() ? V4_PRIORITY : V6_PRIORITY,
              subnet.network().address(),
              subnet.prefix(),
              isTowardsContainer,
              TcConstants.handle(1, theirs)));
    }
    return requests;
  }

  /** Requires that a link is slowed down like this. */
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
          "interface %s sends by %s, expected %s"
              .formatted(link.name(), bucket.get(), rate.bucket()));
    }
    if (!subnets.isEmpty()) {
      long filters =
          TcFilter.list(routing, link.index(), QDISC).stream()
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
