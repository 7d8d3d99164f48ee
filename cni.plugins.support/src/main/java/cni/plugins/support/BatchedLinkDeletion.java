package cni.plugins.support;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.NetlinkResponse;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Deletion of a container's interface, batched with concurrent deletions. Deleting a link costs an
 * RCU grace period (about 20 ms) under the RTNL lock. Deletions that arrive while another one runs
 * queue and share the next grace period: the host ends of their veths are put into one link group
 * ({@code IFLA_GROUP}) and a single {@code RTM_DELLINK} deletes the group. A single deletion is
 * never delayed.
 */
public final class BatchedLinkDeletion {
  private static final ReentrantLock LOCK = new ReentrantLock();
  private static final Queue<BatchedLinkDeletion> PENDING = new ConcurrentLinkedQueue<>();

  /** How long to wait for a batch in progress; one of a hundred deletions takes less. */
  private static final Duration LOCK_TIMEOUT = Duration.ofSeconds(10);

  /** Above the group numbers in common use. */
  private static final int MIN_GROUP = 1 << 30;

  private final NetNsSession host;
  private final NetNs.Identity hostIdentity;
  private final NetNsSession container;
  private final Link link;

  // Written by the holder of LOCK, read after LOCK has been released.
  private boolean done;
  private boolean deleted;
  private @Nullable Throwable failure;

  /** Set once, by the thread that will perform this deletion: the holder of LOCK or the caller. */
  private final AtomicBoolean claimed = new AtomicBoolean();

  private BatchedLinkDeletion(NetNsSession host, NetNsSession container, Link link) {
    this.host = host;
    this.hostIdentity = host.hostIdentity();
    this.container = container;
    this.link = link;
  }

  /**
   * Deletes an interface, and with it the other end of a veth.
   *
   * @param link the link in the container's namespace
   * @return false if the link no longer exists
   * @throws CniException code 11 if a batch that includes this deletion does not end in time or the
   *     thread is interrupted while it waits for the batch
   * @throws IOException if the kernel refuses
   */
  public static boolean delete(NetNsSession host, NetNsSession container, Link link)
      throws CniException, IOException {
    var deletion = new BatchedLinkDeletion(host, container, link);
    PENDING.add(deletion);
    if (!acquireLock()) {
      PENDING.remove(deletion);
      deletion.deleteWithoutLock();
      return deletion.outcome();
    }
    try {
      if (!deletion.done) {
        deletion.claimed.set(true);
        deleteAll(deletion.drainBatch());
      }
    } finally {
      LOCK.unlock();
    }
    return deletion.outcome();
  }

  /** Bounded: a deletion that hangs in the kernel must not block the others. */
  private static boolean acquireLock() {
    try {
      return LOCK.tryLock(LOCK_TIMEOUT.toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false; // delete it alone: that is quick, or cannot be interrupted anyway
    }
  }

  private void deleteWithoutLock() throws CniException {
    if (!claimed.compareAndSet(false, true)) {
      if (Thread.currentThread().isInterrupted()) {
        throw CniException.interrupted("waiting for the batch that deletes the interface");
      }
      throw new CniException(
          ErrorCode.TRY_AGAIN_LATER,
          "the interface is being deleted in a batch that has not completed after "
              + LOCK_TIMEOUT.toSeconds()
              + " s");
    }
    deleteSingle();
  }

  /**
   * Takes this deletion and all pending ones of the same host off the queue. If this thread dies
   * before it has performed them, their own threads acquire the lock next, find them not done and
   * perform them.
   */
  private List<BatchedLinkDeletion> drainBatch() {
    List<BatchedLinkDeletion> batch = new ArrayList<>(List.of(this));
    for (BatchedLinkDeletion it : PENDING) {
      if (it.hostIdentity.equals(hostIdentity) && it.claimed.compareAndSet(false, true)) {
        batch.add(it);
      }
    }
    PENDING.removeAll(batch);
    return batch;
  }

  private static void deleteAll(List<BatchedLinkDeletion> batch) {
    List<BatchedLinkDeletion> rest = batch.size() > 1 ? deleteGrouped(batch) : batch;
    rest.forEach(BatchedLinkDeletion::deleteSingle);
    batch.forEach(it -> it.done = true);
  }

  /** Deletes the link. A failure, errors included, is kept for the thread that requested it. */
  private void deleteSingle() {
    failure = null;
    try {
      deleted =
          container.rtnetlink().executeIgnoring(LinkRequests.delete(link.index()), Errno.ENODEV);
    } catch (Throwable e) {
      failure = e;
    }
  }

  /**
   * Deletes as many links as possible as one group. A failure is not reported: each link that is
   * returned can still be deleted alone.
   *
   * @return the deletions that remain to be performed
   */
  private static List<BatchedLinkDeletion> deleteGrouped(List<BatchedLinkDeletion> deletions) {
    List<BatchedLinkDeletion> grouped = new ArrayList<>();
    try {
      RouteSocket rtnetlink = deletions.getFirst().host.rtnetlink();
      int group = ThreadLocalRandom.current().nextInt(MIN_GROUP, Integer.MAX_VALUE);
      assignGroup(rtnetlink, deletions, group, grouped);
      if (grouped.isEmpty() || !deleteGroup(rtnetlink, group)) {
        return deletions;
      }
    } catch (IOException | RuntimeException e) {
      return deletions;
    }
    grouped.forEach(it -> it.deleted = true);
    return deletions.stream().filter(it -> !it.deleted).toList();
  }

  /** Puts the peers that are on this host into a group, and records for which that succeeded. */
  private static void assignGroup(
      RouteSocket rtnetlink,
      List<BatchedLinkDeletion> deletions,
      int group,
      List<BatchedLinkDeletion> grouped)
      throws IOException {
    List<RouteSocket.VethPeer> containerEnds = new ArrayList<>();
    for (BatchedLinkDeletion it : deletions) {
      containerEnds.add(new RouteSocket.VethPeer(it.container.netns(), it.link));
    }
    List<Optional<Link>> hostEnds = rtnetlink.hostPeers(containerEnds);
    List<BatchedLinkDeletion> candidates = new ArrayList<>();
    List<NetlinkRequest> requests = new ArrayList<>();
    for (int i = 0; i < deletions.size(); i++) {
      if (hostEnds.get(i).isPresent()) {
        candidates.add(deletions.get(i));
        requests.add(LinkRequests.setGroup(hostEnds.get(i).get().index(), group));
      }
    }
    List<NetlinkResponse> responses = rtnetlink.exchange(requests);
    for (int i = 0; i < candidates.size(); i++) {
      if (responses.get(i).error().isEmpty()) {
        grouped.add(candidates.get(i));
      }
    }
  }

  /**
   * Deletes a group of links.
   *
   * @return false if the kernel cannot (EOPNOTSUPP), or the last member has just been deleted by
   *     another process (ENODEV)
   */
  private static boolean deleteGroup(RouteSocket rtnetlink, int group) throws IOException {
    return rtnetlink.executeIgnoring(
        LinkRequests.deleteGroup(group), Errno.EOPNOTSUPP, Errno.ENODEV);
  }

  private boolean outcome() throws CniException, IOException {
    // Without a pattern switch, which costs the start of a process half a millisecond.
    if (failure instanceof CniException e) {
      throw e;
    }
    if (failure instanceof IOException e) {
      throw e;
    }
    if (failure instanceof RuntimeException e) {
      throw e;
    }
    if (failure instanceof Error e) {
      throw e;
    }
    if (failure != null) {
      throw new IllegalStateException(failure);
    }
    return deleted;
  }
}
