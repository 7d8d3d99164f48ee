// SPDX-License-Identifier: Apache-2.0
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
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Acquires leases, schedules their renewal and releases them. Several processes may each have a
 * manager on one directory; a lease is renewed by the manager that owns it, and the leases of a
 * process that has ended are adopted by another one.
 */
final class LeaseManager implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  /** How long a release tries to reach the server. */
  private static final Duration RELEASE_TIMEOUT = Duration.ofSeconds(2);

  /** How often leases without a live owner are adopted, and the longest sleep of a timer. */
  private static final Duration SCAN_INTERVAL = Duration.ofSeconds(60);

  /** How long {@link #close} waits for work in progress. */
  private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(10);

  private final LeaseDirectory directory;
  private final KeyedLocks<Path> locks = new KeyedLocks<>();
  private final ScheduledThreadPoolExecutor timer;
  private final Map<Path, ScheduledFuture<?>> scheduled = new ConcurrentHashMap<>();
  private final LeaseRenewal renewal;
  private @Nullable LeaseOwnerLock ownerLock;
  private volatile boolean closed;

  /**
   * Creates a manager that owns no lease yet.
   *
   * @param events receives an event for each lease that is lost
   */
  LeaseManager(LeaseDirectory directory, Consumer<PluginEvent> events) {
    this.directory = directory;
    this.renewal = new LeaseRenewal(directory, this, events);
    this.timer =
        new ScheduledThreadPoolExecutor(
            1, Thread.ofPlatform().daemon().name("cni-dhcp-timer").factory());
    timer.setRemoveOnCancelPolicy(true);
  }

  /** Returns the id of this manager, which locks its owner file at the first lease. */
  private synchronized String ownerId() throws CniException {
    if (closed) {
      throw new CniException(ErrorCode.NOT_AVAILABLE, "dhcp: the plugin has been stopped");
    }
    LeaseOwnerLock lock = ownerLock;
    if (lock == null) {
      lock = LeaseOwnerLock.acquire(directory);
      ownerLock = lock;
      startPeriodicAdoption(); // not earlier: without leases no thread is needed
    }
    return lock.ownerId();
  }

  private void startPeriodicAdoption() {
    long millis = SCAN_INTERVAL.toMillis();
    var _ = timer.scheduleWithFixedDelay(this::adoptQuietly, millis, millis, TimeUnit.MILLISECONDS);
  }

  private void adoptQuietly() {
    try {
      adopt();
    } catch (CniException | RuntimeException e) {
      LOG.get().log(WARNING, "leases without a live owner cannot be adopted", e);
    }
  }

  /**
   * Takes over the leases whose owner has ended, including those that have expired meanwhile, and
   * deletes what killed processes left.
   *
   * @throws CniException code 5 if the leases cannot be listed
   */
  void adopt() throws CniException {
    directory.deleteLeftovers();
    for (Lease lease : directory.readAll()) {
      try {
        if (!lease.binding().isEnded() && !isOwnerAlive(lease)) {
          Lease own = lease.with(lease.binding(), ownerId(), lease.linkIdentity());
          if (directory.replace(lease, own)) {
            LOG.get().log(INFO, "{0}: adopted, {1}", own.clientId(), describe(own));
            schedule(file(own), Duration.ZERO);
          }
        }
      } catch (CniException e) {
        LOG.get().log(WARNING, lease.clientId() + ": cannot be adopted", e);
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
   * Returns the attachment's lease; acquires one if it has none or it has expired.
   *
   * @param wanted the lease without a binding
   * @param required as for {@link #acquire}
   * @throws CniException code 11 if no server grants one by the deadline, code 8 if the interface
   *     does not exist, code 5 if servers grant only other addresses
   */
  Lease allocate(Lease wanted, List<InetAddress> required, Deadline deadline) throws CniException {
    Path file = file(wanted);
    try (KeyedLocks.Held _ = locks.acquire(file);
        ContainerLink link = ContainerLink.open(wanted.namespace(), wanted.id().interfaceName())) {
      Optional<Lease> before = directory.read(file);
      Lease lease;
      if (before.isPresent() && !before.get().isExpired()) {
        if (!isOwnedHere(before.get()) && isOwnerAlive(before.get())) {
          return before.get();
        }
        // The interface may have been recreated.
        lease = wanted.with(before.get().binding(), ownerId(), link.identity());
        directory.write(lease);
      } else {
        lease = acquire(wanted, link, required, directory::write, deadline);
      }
      schedule(file, lease.binding().untilRenewal());
      LOG.get().log(INFO, "{0}: {1}", lease.clientId(), describe(lease));
      return lease;
    } catch (IOException e) {
      throw LeaseDirectory.ioFailure("dhcp for " + wanted.clientId(), e);
    }
  }

  /**
   * Acquires a lease from a server.
   *
   * @param required addresses of a lost lease that must be granted again; empty for a new lease
   * @param store stores the lease; if that fails, the lease is released
   * @throws LeaseRefusedException if servers grant only others
   * @throws CniException code 11 if no server grants one by the deadline
   * @throws IOException if the interface cannot be used
   */
  Lease acquire(
      Lease wanted,
      ContainerLink link,
      List<InetAddress> required,
      LeaseStore store,
      Deadline deadline)
      throws CniException, IOException {
    try (DhcpClient client = wanted.family().open(link, wanted, deadline)) {
      Binding binding = client.acquire(required, deadline);
      try {
        if (!binding.addresses().containsAll(required)) {
          throw new LeaseRefusedException("servers grant only other addresses now");
        }
        Lease lease = wanted.with(binding, ownerId(), link.identity());
        store.write(lease);
        return lease;
      } catch (CniException | IOException e) {
        client.release(binding);
        throw e;
      }
    }
  }

  /** Stores an acquired lease. */
  @FunctionalInterface
  interface LeaseStore {
    /**
     * Stores the lease.
     *
     * @throws LeaseRefusedException if it is no longer wanted
     */
    void write(Lease lease) throws CniException, LeaseRefusedException;
  }

  /** Returns the lease of an attachment; absent if it has none. */
  Optional<Lease> find(String network, AttachmentId id, DhcpFamily family) throws CniException {
    return directory.read(directory.file(network, id, family));
  }

  /** Returns the leases of all owners. */
  List<Lease> leases() throws CniException {
    return directory.readAll();
  }

  /**
   * Releases a lease of any owner. If the server cannot be notified, the lease expires there.
   *
   * @throws CniException code 5 if its file cannot be removed
   */
  void release(Lease lease) throws CniException {
    delete(lease, it -> true);
  }

  /**
   * As {@link #release}, but the server is only notified if the interface has none of the
   * addresses. Otherwise the lease expires there.
   *
   * @throws CniException code 5 if its file cannot be removed
   */
  void drop(Lease lease) throws CniException {
    delete(lease, it -> !isUsed(it));
  }

  private void delete(Lease lease, Predicate<Lease> notifies) throws CniException {
    Path file = file(lease);
    try (KeyedLocks.Held _ = locks.acquire(file)) {
      cancel(file);
      Optional<Lease> deleted = directory.delete(file);
      if (deleted.isPresent() && !deleted.get().isExpired() && notifies.test(deleted.get())) {
        notifyServer(deleted.get());
      }
    }
  }

  /** Returns whether the interface has an address of a lease, or may have one. */
  private static boolean isUsed(Lease lease) {
    try {
      Optional<ContainerLink> open = ContainerLink.ofLease(lease);
      if (open.isEmpty()) {
        return false;
      }
      try (ContainerLink link = open.get()) {
        return link.hasAny(lease.binding().addresses());
      }
    } catch (IOException e) {
      LOG.get().log(WARNING, lease.clientId() + ": the server is not notified", e);
      return true;
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
      LOG.get()
          .log(WARNING, lease.clientId() + ": the server cannot be notified of the release", e);
    }
  }

  private void cancel(Path file) {
    ScheduledFuture<?> task = scheduled.remove(file);
    if (task != null) {
      task.cancel(false);
    }
  }

  /**
   * Schedules the service of a lease, in place of an earlier schedule. A longer delay is cut to
   * {@link #SCAN_INTERVAL}, because timers do not advance while the machine is suspended.
   */
  void schedule(Path file, Duration delay) {
    long millis = Math.clamp(delay.toMillis(), 0, SCAN_INTERVAL.toMillis());
    try {
      cancel(file);
      scheduled.put(file, timer.schedule(() -> startService(file), millis, TimeUnit.MILLISECONDS));
    } catch (RejectedExecutionException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "not scheduled after close: " + file);
    }
  }

  private void startService(Path file) {
    try {
      Thread.ofPlatform().daemon().name("cni-dhcp-lease").start(() -> service(file));
    } catch (OutOfMemoryError e) { // the thread could not be created
      schedule(file, SCAN_INTERVAL);
    }
  }

  /** Renews or expires a lease if that is due. */
  private void service(Path file) {
    try (KeyedLocks.Held _ = locks.acquire(file)) {
      Optional<Lease> lease = directory.read(file);
      if (!closed && lease.isPresent() && isOwnedHere(lease.get())) {
        renewal.service(file, lease.get());
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

  /** Stops renewing; the leases are kept for another manager to adopt. */
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
