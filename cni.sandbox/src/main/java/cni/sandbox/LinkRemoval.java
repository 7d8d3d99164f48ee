package cni.sandbox;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetNs;
import cni.netlink.ffm.NetlinkAnswer;
import cni.netlink.ffm.NetlinkMessage;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.Rtnetlink;
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
public final class LinkRemoval {
  private static final ReentrantLock TURN = new ReentrantLock();
  private static final Queue<LinkRemoval> WAITING = new ConcurrentLinkedQueue<>();

  /** Some hundred deletions take no longer. */
  private static final Duration PATIENCE = Duration.ofSeconds(10);

  /** Above the numbers that people give their groups. */
  private static final int LOWEST_GROUP = 1 << 30;

  private final Namespace host;
  private final NetNs.Identity hostIdentity;
  private final Namespace sandbox;
  private final Search search;

  // Written by whoever has the turn, and read when that has been given back.
  private boolean done;
  private Optional<Link> found = Optional.empty();
  private @Nullable Throwable failure;

  /** Set by whoever is going to remove it: the one that has the turn, or this one itself. */
  private final AtomicBoolean claimed = new AtomicBoolean();

  private LinkRemoval(Namespace host, Namespace sandbox, Search search) {
    this.host = host;
    this.hostIdentity = host.hostIdentity();
    this.sandbox = sandbox;
    this.search = search;
  }

  /** How the interface is found. */
  @FunctionalInterface
  public interface Search {
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
  public static boolean delete(Namespace host, Namespace sandbox, Search search)
      throws CniException, IOException {
    var removal = new LinkRemoval(host, sandbox, search);
    WAITING.add(removal);
    if (!takeTurn()) {
      WAITING.remove(removal);
      removal.removeWithoutTurn();
      return removal.outcome();
    }
    try {
      if (!removal.done) {
        removal.claimed.set(true);
        removeAll(removal.takeCompany());
      }
    } finally {
      TURN.unlock();
    }
    return removal.outcome();
  }

  /** Not for ever: one deletion that the kernel does not get done must not stop all others. */
  private static boolean takeTurn() throws CniException {
    try {
      return TURN.tryLock(PATIENCE.toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread()
          .interrupt(); // it is deleted alone, which is quick or cannot be stopped
      return false;
    }
  }

  private void removeWithoutTurn() throws CniException {
    if (!claimed.compareAndSet(false, true)) {
      throw new CniException(
          ErrorCode.TRY_AGAIN_LATER,
          "the interface is being deleted together with others, which has not ended after "
              + PATIENCE.toSeconds()
              + " s");
    }
    find();
    if (found.isPresent()) {
      removeAlone();
    }
  }

  /**
   * This one, and all that wait and have the same host. They are not in the queue any more: were
   * this thread to die here, they would have the turn next and begin for themselves.
   */
  private List<LinkRemoval> takeCompany() {
    List<LinkRemoval> company = new ArrayList<>(List.of(this));
    for (LinkRemoval it : WAITING) {
      if (it.hostIdentity.equals(hostIdentity) && it.claimed.compareAndSet(false, true)) {
        company.add(it);
      }
    }
    WAITING.removeAll(company);
    return company;
  }

  private static void removeAll(List<LinkRemoval> removals) {
    removals.forEach(LinkRemoval::find);
    List<LinkRemoval> open = removals.stream().filter(it -> it.found.isPresent()).toList();
    List<LinkRemoval> rest = open.size() > 1 ? withoutRemovedTogether(open) : open;
    rest.forEach(LinkRemoval::removeAlone);
    removals.forEach(it -> it.done = true);
  }

  /** What goes wrong, errors included, is told to whoever asked for this one. */
  private void find() {
    failure = null;
    found = Optional.empty();
    try {
      found = search.find();
    } catch (Throwable e) {
      failure = e;
    }
  }

  private void removeAlone() {
    try {
      int index = found.orElseThrow().index();
      sandbox.routing().executeUnless(LinkRequests.delete(index), Errno.ENODEV);
    } catch (Throwable e) {
      failure = e;
    }
  }

  /** Whatever goes wrong here, each of them can still be removed alone. */
  private static List<LinkRemoval> withoutRemovedTogether(List<LinkRemoval> removals) {
    List<LinkRemoval> grouped = new ArrayList<>();
    try {
      Rtnetlink routing = removals.getFirst().host.routing();
      int group = ThreadLocalRandom.current().nextInt(LOWEST_GROUP, Integer.MAX_VALUE);
      group(routing, removals, group, grouped);
      if (grouped.isEmpty() || !deleteGroup(routing, group)) {
        return removals;
      }
    } catch (IOException | RuntimeException e) {
      return removals;
    }
    return removals.stream().filter(it -> !grouped.contains(it)).toList();
  }

  /** Puts the ends on the host into a group, those that are on this host. */
  private static void group(
      Rtnetlink routing, List<LinkRemoval> removals, int group, List<LinkRemoval> grouped)
      throws IOException {
    List<Rtnetlink.FarEnd> ends = new ArrayList<>();
    for (LinkRemoval it : removals) {
      ends.add(new Rtnetlink.FarEnd(it.sandbox.netns(), it.found.orElseThrow()));
    }
    List<Optional<Link>> here = routing.nearEnds(ends);
    List<LinkRemoval> candidates = new ArrayList<>();
    List<NetlinkMessage> requests = new ArrayList<>();
    for (int i = 0; i < removals.size(); i++) {
      if (here.get(i).isPresent()) {
        candidates.add(removals.get(i));
        requests.add(LinkRequests.setGroup(here.get(i).get().index(), group));
      }
    }
    List<NetlinkAnswer> answers = routing.exchange(requests);
    for (int i = 0; i < candidates.size(); i++) {
      if (answers.get(i).error().isEmpty()) {
        grouped.add(candidates.get(i));
      }
    }
  }

  /** ENODEV: somebody else has deleted the last of them just now. */
  private static boolean deleteGroup(Rtnetlink routing, int group) throws IOException {
    return routing.executeUnless(LinkRequests.deleteGroup(group), Errno.EOPNOTSUPP, Errno.ENODEV);
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
