package cni.plugins.chained;

import cni.api.Cidr;
import cni.api.CniException;
import cni.netlink.ffm.NetlinkMessage;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Rtnetlink;
import cni.netlink.ffm.tc.HtbClass;
import cni.netlink.ffm.tc.Qdisc;
import cni.netlink.ffm.tc.Tc;
import cni.netlink.ffm.tc.TcFilter;
import cni.netlink.ffm.tc.TokenBucket;
import cni.sandbox.AttachmentCheck;
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
 * @param shaped whether it is for them
 * @param towardsContainer whether the link leads to the container, so that the subnets are where
 *     packets come from and not where they go to
 */
record Shaper(
    BandwidthConfig.Rate rate, List<Cidr> subnets, boolean shaped, boolean towardsContainer) {
  private static final int QDISC = Tc.handle(1, 0);
  private static final int UNSHAPED_CLASS = 1;
  private static final int SHAPED_CLASS = 0x30;

  /** In bytes per second, more than any link can do. */
  private static final long UNLIMITED = 100_000_000_000L;

  private static final int CLASS_QUEUE = 1000;

  // Filters for different protocols need different priorities.
  private static final int V4_PRIORITY = 16;
  private static final int V6_PRIORITY = 15;

  /** How many packets may wait on an ifb; a token bucket filter has a queue of its own. */
  int queueLength() {
    return subnets.isEmpty() ? 0 : CLASS_QUEUE;
  }

  /** The requests that slow a link down. */
  List<NetlinkMessage> requests(int link) {
    if (subnets.isEmpty()) {
      return List.of(Qdisc.addTokenBucket(link, QDISC, Tc.ROOT, rate.bucket()));
    }
    List<NetlinkMessage> requests = new ArrayList<>();
    int others = shaped ? UNSHAPED_CLASS : SHAPED_CLASS;
    int theirs = shaped ? SHAPED_CLASS : UNSHAPED_CLASS;
    var slow = new HtbClass(Tc.handle(1, SHAPED_CLASS), rate.bits() / 8, rate.burst() / 8);
    var fast = new HtbClass(Tc.handle(1, UNSHAPED_CLASS), UNLIMITED, 0);
    requests.add(Qdisc.addHierarchy(link, QDISC, Tc.ROOT, others));
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
              towardsContainer,
              Tc.handle(1, theirs)));
    }
    return requests;
  }

  /** Requires that a link is slowed down like this. */
  void check(Rtnetlink routing, Link link) throws CniException, IOException {
    List<Qdisc> qdiscs =
        Qdisc.list(routing, link.index()).stream().filter(it -> it.parent() == Tc.ROOT).toList();
    String kind = subnets.isEmpty() ? "tbf" : "htb";
    if (qdiscs.isEmpty() || !qdiscs.getFirst().kind().equals(kind)) {
      throw AttachmentCheck.differs(
          "interface %s has qdisc %s, expected %s"
              .formatted(link.name(), qdiscs.isEmpty() ? "none" : qdiscs.getFirst().kind(), kind));
    }
    Optional<TokenBucket> bucket = qdiscs.getFirst().bucket();
    if (bucket.isPresent() && !bucket.get().equals(rate.bucket())) {
      throw AttachmentCheck.differs(
          "interface %s sends by %s, expected %s"
              .formatted(link.name(), bucket.get(), rate.bucket()));
    }
    if (!subnets.isEmpty()) {
      long filters =
          TcFilter.list(routing, link.index(), QDISC).stream()
              .filter(filter -> filter.kind().equals("u32"))
              .count();
      if (filters < subnets.size()) {
        throw AttachmentCheck.differs(
            "interface %s has %d filters, expected one for each of %s"
                .formatted(link.name(), filters, subnets));
      }
    }
  }
}
