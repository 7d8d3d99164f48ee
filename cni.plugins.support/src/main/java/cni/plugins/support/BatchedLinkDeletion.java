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
 * The removal of a container's interface. Whenever the kernel deletes a link it waits, some 20 ms,
 * until no processor can still be using it, and nobody else changes links meanwhile. So who comes
 * then queues here, and those that have queued are removed together: the ends that their veths have
 * on the host are put into a group, and the group is deleted with one wait for all of it. Who comes
 * alone is served at once.
 */
public final class BatchedLinkDeletion {
  private static final ReentrantLock LOCK = new ReentrantLock();
  private static final Queue<BatchedLinkDeletion> PENDING = new ConcurrentLinkedQueue<>();

  /** Some hundred deletions take no longer. */
  private static final Duration LOCK_TIMEOUT = Duration.ofSeconds(10);

  /** Above the numbers that people give their groups. */
  private static final int MIN_GROUP = 1 << 30;

  private final NetNsSession host;
  private final NetNs.Identity hostIdentity;
  private final NetNsSession sandbox;
  private final LinkLookup lookup;

  // Written by whoever has the turn, and read when that has been given back.
  private boolean done;
  private Optional<Link> found = Optional.empty();
  private @Nullable Throwable failure;

  /** Set by whoever is going to remove it: the one that has the turn, or this one itself. */
  private final AtomicBoolean claimed = new AtomicBoolean();

  private BatchedLinkDeletion(NetNsSession host, NetNsSession sandbox, LinkLookup search) {
    this.host = host;
    this.hostIdentity = host.hostIdentity();
    this.sandbox = sandbox;
    this.lookup = search;
  }

  /** How the interface is found. */
  @FunctionalInterface
  public interface LinkLookup {
    /** Finds it; absent if it is gone or somebody else's. */
    Optional<Link> find() throws CniException, IOException;
  }

  /**
   * Deletes an interface, and with it the other end of a veth.
   *
   * @param search looks in the container's namespace, perhaps on another thread while this one
   *     waits
   * @return whether it was there
   * @throws CniException what the search throws
   * @throws IOException if the kernel refuses
   */
  public static boolean delete(NetNsSession host, NetNsSession sandbox, LinkLookup search)
      throws CniException, IOException {
    var removal = new BatchedLinkDeletion(host, sandbox, search);
    PENDING.add(removal);
    if (!acquireLock()) {
      PENDING.remove(removal);
      removal.deleteWithoutLock();
      return removal.outcome();
    }
    try {
      if (!removal.done) {
        removal.claimed.set(true);
        deleteAll(removal.drainBatch());
      }
    } finally {
      LOCK.unlock();
    }
    return removal.outcome();
  }

  /** Not for ever: one deletion that the kernel does not get done must not stop all others. */
  private static boolean acquireLock() throws CniException {
    try {
      return LOCK.tryLock(LOCK_TIMEOUT.toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread()
          .interrupt(); // it is deleted alone, which is quick or cannot be stopped
      return false;
    }
  }

  private void deleteWithoutLock() throws CniException {
    if (!claimed.compareAndSet(false, true)) {
      throw new CniException(
          ErrorCode.TRY_AGAIN_LATER,
          "the interface is being deleted together with others, which has not ended after "
              + LOCK_TIMEOUT.toSeconds()
              + " s");
    }
    resolve();
    if (found.isPresent()) {
      deleteSingle();
    }
  }

  /**
   * This one, and all that wait and have the same host. They are not in the queue any more: were
   * this thread to die here, they would have the turn next and begin for themselves.
   */
  private List<BatchedLinkDeletion> drainBatch() {
    List<BatchedLinkDeletion> company = new ArrayList<>(List.of(this));
    for (BatchedLinkDeletion it : PENDING) {
      if (it.hostIdentity.equals(hostIdentity) && it.claimed.compareAndSet(false, true)) {
        company.add(it);
      }
    }
    PENDING.removeAll(company);
    return company;
  }

  private static void deleteAll(List<BatchedLinkDeletion> removals) {
    removals.forEach(BatchedLinkDeletion::resolve);
    List<BatchedLinkDeletion> open = removals.stream().filter(it -> it.found.isPresent()).toList();
    List<BatchedLinkDeletion> rest = open.size() > 1 ? deleteGrouped(open) : open;
    rest.forEach(BatchedLinkDeletion::deleteSingle);
    removals.forEach(it -> it.done = true);
  }

  /** What goes wrong, errors included, is told to whoever asked for this one. */
  private void resolve() {
    failure = null;
    found = Optional.empty();
    try {
      found = lookup.find();
    } catch (Throwable e) {
      failure = e;
    }
  }

  private void deleteSingle() {
    try {
      int index = found.orElseThrow().index();
      sandbox.rtnetlink().executeIgnoring(LinkRequests.delete(index), Errno.ENODEV);
    } catch (Throwable e) {
      failure = e;
    }
  }

  /** Whatever goes wrong here, each of them can still be removed alone. */
  private static List<BatchedLinkDeletion> deleteGrouped(List<BatchedLinkDeletion> removals) {
    List<BatchedLinkDeletion> grouped = new ArrayList<>();
    try {
      RouteSocket routing = removals.getFirst().host.rtnetlink();
      int group = ThreadLocalRandom.current().nextInt(MIN_GROUP, Integer.MAX_VALUE);
      assignGroup(routing, removals, group, grouped);
      if (grouped.isEmpty() || !deleteGroup(routing, group)) {
        return removals;
      }
    } catch (IOException | RuntimeException e) {
      return removals;
    }
    return removals.stream().filter(it -> !grouped.contains(it)).toList();
  }

  /** Puts the ends on the host into a group, those that are on this host. */
  private static void assignGroup(
      RouteSocket routing,
      List<BatchedLinkDeletion> removals,
      int group,
      List<BatchedLinkDeletion> grouped)
      throws IOException {
    List<RouteSocket.VethPeer> ends = new ArrayList<>();
    for (BatchedLinkDeletion it : removals) {
      ends.add(new RouteSocket.VethPeer(it.sandbox.netns(), it.found.orElseThrow()));
    }
    List<Optional<Link>> here = routing.hostPeers(ends);
    List<BatchedLinkDeletion> candidates = new ArrayList<>();
    List<NetlinkRequest> requests = new ArrayList<>();
    for (int i = 0; i < removals.size(); i++) {
      if (here.get(i).isPresent()) {
        candidates.add(removals.get(i));
        requests.add(LinkRequests.setGroup(here.get(i).get().index(), group));
      }
    }
    List<NetlinkResponse> answers = routing.exchange(requests);
    for (int i = 0; i < candidates.size(); i++) {
      if (answers.get(i).error().isEmpty()) {
        grouped.add(candidates.get(i));
      }
    }
  }

  /** ENODEV: somebody else has deleted the last of them just now. */
  private static boolean deleteGroup(RouteSocket routing, int group) throws IOException {
    return routing.executeIgnoring(LinkRequests.deleteGroup(group), Errno.EOPNOTSUPP, Errno.ENODEV);
  }

  private boolean outcome() throws CniException, IOException {
    return switch (failure) {
      case null -> found.isPresent();
      case CniException e -> throw e;
      case IOException e -> throw e;
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      default -> throw new IllegalStateException(failure);
    };
  }
}
