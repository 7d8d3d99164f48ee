package cni.plugins.ipam.dhcp;

import static java.lang.System.Logger.Level.DEBUG;
import static java.lang.System.Logger.Level.ERROR;
import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Ip;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Gets leases, extends them in time, and gives them back. A keeper works in one process; leases
 * whose keeper is gone another takes over.
 */
final class LeaseKeeper implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger("cni.plugins.ipam");

  /** How long one request for more time waits for its answer. */
  private static final Duration PATIENCE = Duration.ofSeconds(2);

  /** How long a lease that a server refuses is tried to be had anew. */
  private static final Duration SECOND_CHANCE = Duration.ofSeconds(5);

  /** Between two requests for more time at least, and at most (RFC 2131, 4.4.5). */
  private static final Duration SHORTEST_PAUSE = Duration.ofSeconds(1);

  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(60);

  private final LeaseDirectory directory;
  private final ScheduledThreadPoolExecutor timer;
  private final Map<Path, ScheduledFuture<?>> next = new ConcurrentHashMap<>();
  private final Map<Path, ReentrantLock> turns = new ConcurrentHashMap<>();
  private @Nullable KeeperSeat seat;
  private volatile boolean closed;

  LeaseKeeper(LeaseDirectory directory) {
    this.directory = directory;
    this.timer =
        new ScheduledThreadPoolExecutor(
            1, Thread.ofPlatform().daemon().name("cni-dhcp-timer").factory());
    timer.setRemoveOnCancelPolicy(true);
    timer.setKeepAliveTime(10, TimeUnit.SECONDS);
    timer.allowCoreThreadTimeOut(true); // no thread where there are no leases
  }

  /** The name of this keeper, which has its seat from the first lease on. */
  private synchronized String name() throws CniException {
    KeeperSeat taken = seat;
    if (taken == null) {
      taken = KeeperSeat.take(directory.path());
      seat = taken;
    }
    return taken.name();
  }

  /**
   * Takes over the leases that nobody keeps any more.
   *
   * @throws CniException code 5 if they cannot be read or written
   */
  void adopt() throws CniException {
    for (Lease lease : directory.all()) {
      if (!lease.isOver() && !isAnothers(lease)) {
        Lease own = lease.with(lease.binding(), name());
        directory.write(own);
        LOG.log(INFO, "{0}: taken over, {1}", own.clientId(), describe(own));
        schedule(file(own), Duration.ZERO);
      }
    }
  }

  private Path file(Lease lease) {
    return directory.file(lease.network(), lease.id(), lease.family());
  }

  private ReentrantLock turn(Path file) {
    return turns.computeIfAbsent(file, it -> new ReentrantLock());
  }

  /**
   * The lease that the attachment has, or a new one.
   *
   * @param wanted without a binding
   * @throws CniException code 11 if no server grants one by the deadline, code 8 if there is no
   *     interface to ask through
   */
  Lease allocate(Lease wanted, Deadline deadline) throws CniException {
    Path file = file(wanted);
    ReentrantLock turn = turn(file);
    turn.lock();
    try {
      Optional<Lease> before = directory.read(file);
      boolean holds = before.isPresent() && !before.get().isOver();
      if (holds && isAnothers(before.get())) {
        return before.get();
      }
      Lease lease =
          holds
              ? wanted.with(before.get().binding(), name())
              : acquire(wanted, List.of(), deadline);
      if (holds) {
        directory.write(lease); // the container may have another namespace by now
      }
      schedule(file, untilRenewal(lease));
      LOG.log(INFO, "{0}: {1}", lease.clientId(), describe(lease));
      return lease;
    } catch (IOException e) {
      throw LeaseDirectory.failure("dhcp for " + wanted.clientId(), e);
    } finally {
      turn.unlock();
    }
  }

  private boolean isAnothers(Lease lease) throws CniException {
    return !lease.keeper().equals(name()) && KeeperSeat.isTaken(directory.path(), lease.keeper());
  }

  private Lease acquire(Lease wanted, List<InetAddress> wish, Deadline deadline)
      throws CniException, IOException {
    try (AttachedLink link = AttachedLink.open(wanted.namespace(), wanted.id().interfaceName());
        Client client = wanted.family().open(link, wanted, deadline)) {
      Binding binding = client.acquire(wish, deadline);
      boolean other = !wish.isEmpty() && !binding.addresses().containsAll(wish);
      try {
        if (other) {
          throw new RefusedException("servers now grant only another address");
        }
        Lease lease = wanted.with(binding, name());
        directory.write(lease);
        return lease;
      } catch (CniException | RefusedException e) {
        client.release(binding);
        throw e;
      }
    }
  }

  /** The lease of an attachment, if there is one. */
  Optional<Lease> find(String network, AttachmentId id, Family family) throws CniException {
    return directory.read(directory.file(network, id, family));
  }

  /** Every lease, whoever keeps it. */
  List<Lease> all() throws CniException {
    return directory.all();
  }

  /**
   * Gives a lease back, whoever keeps it; a server that cannot be told finds out in time.
   *
   * @throws CniException code 5 if its file cannot be removed
   */
  void release(Lease lease) throws CniException {
    Path file = file(lease);
    ReentrantLock turn = turn(file);
    turn.lock();
    try {
      cancel(file);
      Optional<Lease> there = directory.read(file);
      directory.delete(file);
      if (there.isPresent() && !there.get().isOver()) {
        tellServer(there.get());
      }
    } finally {
      turn.unlock();
      turns.remove(file, turn);
    }
  }

  private static void tellServer(Lease lease) {
    Deadline deadline = Deadline.after(PATIENCE);
    try {
      Optional<AttachedLink> open =
          AttachedLink.openIfPresent(lease.namespace(), lease.id().interfaceName());
      if (open.isPresent()) {
        try (AttachedLink link = open.get();
            Client client = lease.family().open(link, lease, deadline)) {
          client.release(lease.binding());
        }
        LOG.log(INFO, "{0}: released, {1}", lease.clientId(), describe(lease));
      }
    } catch (CniException | IOException e) {
      LOG.log(WARNING, lease.clientId() + ": the server could not be told", e);
    }
  }

  private void cancel(Path file) {
    ScheduledFuture<?> planned = next.remove(file);
    if (planned != null) {
      planned.cancel(false);
    }
  }

  private void schedule(Path file, Duration pause) {
    if (closed) {
      return;
    }
    cancel(file);
    next.put(
        file,
        timer.schedule(
            () -> Thread.ofPlatform().daemon().name("cni-dhcp-lease").start(() -> attend(file)),
            Math.max(0, pause.toMillis()),
            TimeUnit.MILLISECONDS));
  }

  private static Duration untilRenewal(Lease lease) {
    return Duration.between(Instant.now(), lease.binding().renewal());
  }

  /** Does for a lease what is due. */
  private void attend(Path file) {
    ReentrantLock turn = turn(file);
    turn.lock();
    try {
      Optional<Lease> there = directory.read(file);
      if (!closed && there.isPresent() && there.get().keeper().equals(name())) {
        attend(file, there.get());
      }
    } catch (CniException | IOException | RuntimeException e) {
      LOG.log(WARNING, file + ": " + e.getMessage(), e);
      schedule(file, LONGEST_PAUSE);
    } finally {
      turn.unlock();
    }
  }

  private void attend(Path file, Lease lease) throws CniException, IOException {
    if (lease.isOver()) {
      end(lease, "no server has extended it");
      return;
    }
    if (untilRenewal(lease).isPositive()) {
      schedule(file, untilRenewal(lease));
      return;
    }
    Optional<AttachedLink> open =
        AttachedLink.openIfPresent(lease.namespace(), lease.id().interfaceName());
    if (open.isEmpty()) {
      LOG.log(INFO, "{0}: the interface is gone, and so is the lease", lease.clientId());
      directory.delete(file);
      return;
    }
    try (AttachedLink link = open.get()) {
      extend(file, lease, link);
    }
  }

  private void extend(Path file, Lease lease, AttachedLink link) throws CniException, IOException {
    Instant now = Instant.now();
    boolean anyServer = !now.isBefore(lease.binding().rebinding());
    Instant next = anyServer ? lease.binding().expiry() : lease.binding().rebinding();
    try (Client client = lease.family().open(link, lease, Deadline.after(PATIENCE))) {
      Optional<Binding> extended =
          client.extend(lease.binding(), anyServer, min(PATIENCE, Duration.between(now, next)));
      if (extended.isPresent()) {
        Lease longer = lease.with(extended.get(), lease.keeper());
        directory.write(longer);
        LOG.log(DEBUG, "{0}: extended, {1}", lease.clientId(), describe(longer));
        schedule(file, untilRenewal(longer));
        return;
      }
    } catch (RefusedException e) {
      LOG.log(WARNING, lease.clientId() + ": " + e.getMessage());
      haveAnew(file, lease);
      return;
    } catch (CniException | IOException e) {
      LOG.log(WARNING, lease.clientId() + ": " + e.getMessage());
    }
    Duration left = Duration.between(Instant.now(), next);
    Duration pause = min(LONGEST_PAUSE, max(SHORTEST_PAUSE, left.dividedBy(2)));
    schedule(file, min(pause, max(left, Duration.ofMillis(1))));
  }

  /** A server that has forgotten the lease may still grant the same address again. */
  private void haveAnew(Path file, Lease lease) throws CniException {
    try {
      Lease anew = acquire(lease, lease.binding().addresses(), Deadline.after(SECOND_CHANCE));
      LOG.log(INFO, "{0}: granted again, {1}", lease.clientId(), describe(anew));
      schedule(file, untilRenewal(anew));
    } catch (CniException | IOException e) {
      end(lease, String.valueOf(e.getMessage()));
    }
  }

  /** The addresses may not be used any more. The file stays, so that CHECK can tell. */
  private void end(Lease lease, String why) throws CniException {
    LOG.log(ERROR, "{0}: the lease is over: {1}; {2}", lease.clientId(), why, describe(lease));
    directory.write(lease.with(lease.binding().over(), lease.keeper()));
    try {
      Optional<AttachedLink> open =
          AttachedLink.openIfPresent(lease.namespace(), lease.id().interfaceName());
      if (open.isPresent()) {
        try (AttachedLink link = open.get()) {
          link.remove(lease.binding().addresses());
        }
      }
    } catch (IOException e) {
      LOG.log(ERROR, lease.clientId() + ": its addresses cannot be removed", e);
    }
  }

  private static Duration min(Duration one, Duration other) {
    return one.compareTo(other) < 0 ? one : other;
  }

  private static Duration max(Duration one, Duration other) {
    return one.compareTo(other) > 0 ? one : other;
  }

  private static String describe(Lease lease) {
    return lease.binding().addresses().stream().map(Ip::format).collect(Collectors.joining(", "))
        + " until "
        + lease.binding().expiry();
  }

  /** Ends without giving anything back. */
  @Override
  public void close() {
    closed = true;
    timer.shutdownNow();
    synchronized (this) {
      if (seat != null) {
        seat.close();
        seat = null;
      }
    }
  }
}
