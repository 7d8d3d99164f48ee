package cni.plugins.ipam.dhcp;

import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.PluginEvent;
import cni.api.internal.KeyedLocks;
import cni.api.internal.LazyLogger;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Gets leases, has them extended in time, and gives them back. A keeper works in one process;
 * leases whose keeper is gone another takes over.
 */
final class LeaseManager implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  /** How long a server is tried to be told that a lease is given back. */
  private static final Duration RELEASE_TIMEOUT = Duration.ofSeconds(2);

  /** How often leases that nobody keeps are looked for, and the clock is looked at. */
  private static final Duration SCAN_INTERVAL = Duration.ofSeconds(60);

  /** How long work in flight may take to end. */
  private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(10);

  private final LeaseDirectory directory;
  private final KeyedLocks<Path> locks = new KeyedLocks<>();
  private final ScheduledThreadPoolExecutor timer;
  private final Map<Path, ScheduledFuture<?>> scheduled = new ConcurrentHashMap<>();
  private final LeaseRenewal renewal;
  private @Nullable LeaseOwnerLock ownerLock;
  private volatile boolean closed;

  /**
   * Keeps no lease yet.
   *
   * @param events told of leases that are lost
   */
  LeaseManager(LeaseDirectory directory, Consumer<PluginEvent> events) {
    this.directory = directory;
    this.renewal = new LeaseRenewal(directory, this, events);
    this.timer =
        new ScheduledThreadPoolExecutor(
            1, Thread.ofPlatform().daemon().name("cni-dhcp-timer").factory());
    timer.setRemoveOnCancelPolicy(true);
  }

  /** The name of this keeper, which has its seat from the first lease on. */
  private synchronized String ownerId() throws CniException {
    if (closed) {
      throw new CniException(ErrorCode.NOT_AVAILABLE, "dhcp: leases are not kept here any more");
    }
    LeaseOwnerLock taken = ownerLock;
    if (taken == null) {
      taken = LeaseOwnerLock.acquire(directory.path());
      ownerLock = taken;
      startPeriodicAdoption(); // a process that has no leases has no thread for them either
    }
    return taken.ownerId();
  }

  private void startPeriodicAdoption() {
    long millis = SCAN_INTERVAL.toMillis();
    var _ = timer.scheduleWithFixedDelay(this::adoptQuietly, millis, millis, TimeUnit.MILLISECONDS);
  }

  private void adoptQuietly() {
    try {
      adopt();
    } catch (CniException | RuntimeException e) {
      LOG.get().log(WARNING, "looking for leases that nobody keeps", e);
    }
  }

  /**
   * Takes over the leases that nobody keeps any more, also those whose time has passed meanwhile.
   *
   * @throws CniException code 5 if they cannot be listed
   */
  void adopt() throws CniException {
    for (Lease lease : directory.readAll()) {
      try {
        if (!lease.binding().isEnded() && !isOwnerAlive(lease)) {
          Lease own = lease.with(lease.binding(), ownerId(), lease.linkIdentity());
          if (directory.write(own, there -> there.filter(lease::hasSameOwner).isPresent())) {
            LOG.get().log(INFO, "{0}: taken over, {1}", own.clientId(), describe(own));
            schedule(file(own), Duration.ZERO);
          }
        }
      } catch (CniException e) {
        LOG.get().log(WARNING, lease.clientId() + ": not taken over", e);
      }
    }
  }

  private boolean isOwnerAlive(Lease lease) throws CniException {
    synchronized (this) {
      if (ownerLock != null && ownerLock.ownerId().equals(lease.owner())) {
        return true;
      }
    }
    return LeaseOwnerLock.isHeld(directory.path(), lease.owner());
  }

  private boolean isOwnedHere(Lease lease) throws CniException {
    return lease.owner().equals(ownerId());
  }

  private Path file(Lease lease) {
    return directory.file(lease.network(), lease.id(), lease.family());
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
    try (KeyedLocks.Held _ = locks.acquire(file);
        ContainerLink link = ContainerLink.open(wanted.namespace(), wanted.id().interfaceName())) {
      Optional<Lease> before = directory.read(file);
      Lease lease;
      if (before.isPresent() && !before.get().isExpired()) {
        if (!isOwnedHere(before.get()) && isOwnerAlive(before.get())) {
          return before.get();
        }
        // The container may have another interface by now.
        lease = wanted.with(before.get().binding(), ownerId(), link.identity());
        directory.write(lease, there -> true);
      } else {
        lease = acquire(wanted, link, List.of(), deadline);
      }
      schedule(file, lease.binding().untilRenewal());
      LOG.get().log(INFO, "{0}: {1}", lease.clientId(), describe(lease));
      return lease;
    } catch (IOException e) {
      throw LeaseDirectory.ioFailure("dhcp for " + wanted.clientId(), e);
    }
  }

  /**
   * Has servers grant a lease.
   *
   * @param wish the only addresses that will do, if any
   * @throws LeaseRefusedException if servers grant only others
   */
  Lease acquire(Lease wanted, ContainerLink link, List<InetAddress> wish, Deadline deadline)
      throws CniException, IOException {
    try (DhcpClient client = wanted.family().open(link, wanted, deadline)) {
      Binding binding = client.acquire(wish, deadline);
      try {
        if (!binding.addresses().containsAll(wish)) {
          throw new LeaseRefusedException("servers grant only another address now");
        }
        Lease lease = wanted.with(binding, ownerId(), link.identity());
        boolean wasHad = !wish.isEmpty(); // and may have been given back meanwhile
        if (!directory.write(
            lease, there -> !wasHad || there.filter(wanted::hasSameOwner).isPresent())) {
          throw new LeaseRefusedException("it has been given back");
        }
        return lease;
      } catch (CniException | IOException e) {
        client.release(binding);
        throw e;
      }
    }
  }

  /** The lease of an attachment, if there is one. */
  Optional<Lease> find(String network, AttachmentId id, DhcpFamily family) throws CniException {
    return directory.read(directory.file(network, id, family));
  }

  /** Every lease, whoever keeps it. */
  List<Lease> leases() throws CniException {
    return directory.readAll();
  }

  /**
   * Gives a lease back, whoever keeps it; a server that cannot be told finds out in time.
   *
   * @throws CniException code 5 if its file cannot be removed
   */
  void release(Lease lease) throws CniException {
    Path file = file(lease);
    try (KeyedLocks.Held _ = locks.acquire(file)) {
      cancel(file);
      Optional<Lease> there = directory.delete(file);
      if (there.isPresent() && !there.get().isExpired()) {
        notifyServer(there.get());
      }
    }
  }

  private static void notifyServer(Lease lease) {
    Deadline deadline = Deadline.after(RELEASE_TIMEOUT);
    try {
      Optional<ContainerLink> open = ContainerLink.ofLease(lease);
      if (open.isPresent()) {
        try (ContainerLink link = open.get();
            DhcpClient client = lease.family().open(link, lease, deadline)) {
          client.release(lease.binding());
        }
        LOG.get().log(INFO, "{0}: released, {1}", lease.clientId(), describe(lease));
      }
    } catch (CniException | IOException e) {
      LOG.get().log(WARNING, lease.clientId() + ": the server could not be told", e);
    }
  }

  private void cancel(Path file) {
    ScheduledFuture<?> planned = scheduled.remove(file);
    if (planned != null) {
      planned.cancel(false);
    }
  }

  /** Has a lease attended to in that time; in between, too, as a machine may sleep. */
  void schedule(Path file, Duration pause) {
    long millis = Math.clamp(pause.toMillis(), 0, SCAN_INTERVAL.toMillis());
    try {
      cancel(file);
      scheduled.put(file, timer.schedule(() -> startService(file), millis, TimeUnit.MILLISECONDS));
    } catch (RejectedExecutionException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "closed: " + file);
    }
  }

  private void startService(Path file) {
    try {
      Thread.ofPlatform().daemon().name("cni-dhcp-lease").start(() -> service(file));
    } catch (OutOfMemoryError e) { // no thread could be made
      schedule(file, SCAN_INTERVAL);
    }
  }

  /** Does for a lease what is due. */
  private void service(Path file) {
    try (KeyedLocks.Held _ = locks.acquire(file)) {
      Optional<Lease> there = directory.read(file);
      if (!closed && there.isPresent() && isOwnedHere(there.get())) {
        renewal.service(file, there.get());
      }
    } catch (CniException | IOException | RuntimeException e) {
      LOG.get().log(WARNING, file + ": " + e.getMessage(), e);
      schedule(file, SCAN_INTERVAL);
    }
  }

  static String describe(Lease lease) {
    return lease.binding().addresses().stream()
            .map(InetAddresses::format)
            .collect(Collectors.joining(", "))
        + " for "
        + Math.max(0, lease.binding().untilExpiry().toSeconds())
        + " s";
  }

  /** Ends without giving anything back. */
  @Override
  public void close() {
    closed = true;
    timer.shutdownNow();
    locks.awaitIdle(CLOSE_TIMEOUT);
    synchronized (this) {
      if (ownerLock != null) {
        ownerLock.close();
        ownerLock = null;
      }
    }
  }
}
