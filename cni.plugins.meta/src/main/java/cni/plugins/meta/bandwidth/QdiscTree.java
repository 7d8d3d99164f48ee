// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.bandwidth;

import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.tc.HtbClass;
import cni.netlink.ffm.tc.Qdisc;
import cni.netlink.ffm.tc.TcConstants;
import cni.netlink.ffm.tc.TcFilter;
import cni.netlink.ffm.tc.TokenBucket;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

/**
 * A root qdisc with its classes and filters: that of a {@link TrafficShaper}, or one that the
 * kernel has.
 *
 * @param root a tbf, which has neither classes nor filters, or an htb
 * @param classes the classes of an htb
 * @param filters the filters that put packets into these classes
 */
record QdiscTree(Qdisc root, List<HtbClass> classes, List<TcFilter> filters) {
  /** More than any link can send. */
  static final long UNLIMITED_BYTES_PER_SECOND = 100_000_000_000L;

  /**
   * A burst that takes 10 ms at that rate. The product of rate and time in ns, from which the
   * kernel computes the size of the largest packet, must fit into 64 bits (psched_ns_t2l in
   * include/net/sch_generic.h).
   */
  private static final long UNLIMITED_BURST_BYTES = UNLIMITED_BYTES_PER_SECOND / 100;

  /** How long removing a qdisc waits until its queue is empty. */
  private static final Duration DRAIN_TIMEOUT = Duration.ofMillis(100);

  private static final Duration DRAIN_POLL = Duration.ofMillis(1);

  /** Copies the lists. */
  QdiscTree {
    classes = List.copyOf(classes);
    filters = List.copyOf(filters);
  }

  /** Reads the classes and filters of a link's root qdisc. */
  static QdiscTree read(RouteSocket routing, int link, Qdisc root) throws IOException {
    if (!root.kind().equals("htb")) {
      return new QdiscTree(root, List.of(), List.of());
    }
    return new QdiscTree(
        root, HtbClass.list(routing, link), TcFilter.list(routing, link, root.handle()));
  }

  /** Returns the requests that install the qdisc on a link that has none. */
  List<NetlinkRequest> requests(int link) {
    int handle = root.handle();
    List<NetlinkRequest> requests = new ArrayList<>();
    requests.add(
        root.bucket().isPresent()
            ? Qdisc.addTbf(link, handle, TcConstants.ROOT, root.bucket().get())
            : Qdisc.addHtb(link, handle, TcConstants.ROOT, root.defaultClass()));
    classes.forEach(it -> requests.add(it.addRequest(link, handle)));
    filters.forEach(it -> requests.add(it.addRequest(link, handle)));
    return requests;
  }

  /** Installs the qdisc on a link that has none. If that fails, the link has none afterwards. */
  void install(RouteSocket routing, int link) throws IOException {
    List<NetlinkRequest> requests = requests(link);
    routing.execute(requests.getFirst());
    try {
      for (NetlinkRequest request : requests.subList(1, requests.size())) {
        routing.execute(request);
      }
    } catch (IOException e) {
      deleteAfter(routing, link, e);
      throw e;
    }
  }

  private void deleteAfter(RouteSocket routing, int link, IOException failure) {
    try {
      routing.execute(Qdisc.delete(link, root.handle(), TcConstants.ROOT));
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }

  /**
   * Removes the qdisc from a link. The kernel drops the packets in the queue of a deleted qdisc
   * (qdisc_reset in net/sched/sch_generic.c): the limits are lifted first, until the queue is
   * empty. If that fails, the link has the qdisc afterwards.
   */
  void remove(RouteSocket routing, int link) throws IOException {
    drain(routing, link);
    try {
      routing.execute(Qdisc.delete(link, root.handle(), TcConstants.ROOT));
    } catch (IOException e) {
      restoreLimits(routing, link, e);
      throw e;
    }
  }

  /** Lifts the limits and waits until the queue is empty, for {@link #DRAIN_TIMEOUT} at most. */
  void drain(RouteSocket routing, int link) throws IOException {
    routing.execute(unlimited().limitRequests(link));
    long end = System.nanoTime() + DRAIN_TIMEOUT.toNanos();
    while (isQueuing(routing, link) && System.nanoTime() - end < 0) {
      LockSupport.parkNanos(DRAIN_POLL.toNanos());
    }
  }

  private boolean isQueuing(RouteSocket routing, int link) throws IOException {
    return Qdisc.list(routing, link).stream()
        .anyMatch(it -> it.parent() == TcConstants.ROOT && it.queueLength() > 0);
  }

  /** Sets the limits that {@link #drain} has lifted. */
  private void restoreLimits(RouteSocket routing, int link, IOException failure) {
    try {
      routing.execute(limitRequests(link));
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }

  /** Returns the requests that set the limits of the qdisc and the classes that exist already. */
  private List<NetlinkRequest> limitRequests(int link) {
    int handle = root.handle();
    if (root.bucket().isPresent()) {
      return List.of(Qdisc.changeTbf(link, handle, TcConstants.ROOT, root.bucket().get()));
    }
    return classes.stream().map(it -> it.changeRequest(link, handle)).toList();
  }

  private QdiscTree unlimited() {
    Qdisc lifted =
        new Qdisc(
            root.link(),
            root.kind(),
            root.handle(),
            root.parent(),
            root.bucket().map(QdiscTree::unlimited),
            root.defaultClass(),
            root.queueLength());
    return new QdiscTree(
        lifted,
        classes.stream()
            .map(it -> HtbClass.of(it.handle(), UNLIMITED_BYTES_PER_SECOND, 0))
            .toList(),
        filters);
  }

  private static TokenBucket unlimited(TokenBucket bucket) {
    int buffer = TokenBucket.of(8 * UNLIMITED_BYTES_PER_SECOND, 8 * UNLIMITED_BURST_BYTES).buffer();
    return new TokenBucket(UNLIMITED_BYTES_PER_SECOND, bucket.limit(), buffer);
  }
}
