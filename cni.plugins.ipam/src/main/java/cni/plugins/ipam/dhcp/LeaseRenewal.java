// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import static java.lang.System.Logger.Level.DEBUG;
import static java.lang.System.Logger.Level.ERROR;
import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;
import static java.util.stream.Collectors.joining;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.PluginEvent;
import cni.api.internal.LazyLogger;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * The life of a granted lease: renewed at T1, rebound at T2, acquired again after a refusal, and
 * expired when no server extends it (RFC 2131, section 4.4.5; RFC 8415, section 18.2.4).
 */
final class LeaseRenewal {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  /** How long one renewal waits for the server's reply. */
  private static final Duration REQUEST_TIMEOUT = Duration.ofSeconds(2);

  /** How long to try to acquire a refused lease again. */
  private static final Duration REACQUIRE_TIMEOUT = Duration.ofSeconds(5);

  /** The shortest delay between two renewals; leases of a few seconds exist in tests. */
  private static final Duration MIN_RETRY_DELAY = Duration.ofSeconds(1);

  private final LeaseDirectory directory;
  private final LeaseManager manager;
  private final Consumer<PluginEvent> events;

  LeaseRenewal(LeaseDirectory directory, LeaseManager manager, Consumer<PluginEvent> events) {
    this.directory = directory;
    this.manager = manager;
    this.events = events;
  }

  /** Does what is due for a lease and schedules its next service. */
  void service(Path file, Lease lease) throws CniException, IOException {
    if (lease.binding().isEnded()) {
      return;
    }
    Optional<ContainerLink> open = ContainerLink.ofLease(lease);
    if (open.isEmpty()) {
      LOG.get()
          .log(
              INFO,
              "{0}: the interface does not exist any more; the lease is dropped",
              lease.clientId());
      directory.delete(file);
      publishLost(lease, "interface " + lease.id().interfaceName() + " does not exist any more");
      return;
    }
    try (ContainerLink link = open.get()) {
      if (lease.isExpired()) {
        expire(lease, link, "no server has renewed it");
      } else if (lease.binding().untilRenewal().isPositive()) {
        manager.schedule(file, lease.binding().untilRenewal());
      } else {
        renew(file, lease, link);
      }
    }
  }

  private void renew(Path file, Lease lease, ContainerLink link) throws CniException, IOException {
    Binding binding = lease.binding();
    boolean anyServer = !binding.untilRebinding().isPositive();
    Duration left = anyServer ? binding.untilExpiry() : binding.untilRebinding();
    try (DhcpClient client = lease.family().open(link, lease, Deadline.after(REQUEST_TIMEOUT))) {
      Optional<Binding> renewed = client.renew(binding, anyServer, min(REQUEST_TIMEOUT, left));
      if (renewed.isPresent()) {
        Lease longer = lease.with(renewed.get());
        if (directory.replace(lease, longer)) {
          LOG.get()
              .log(DEBUG, "{0}: renewed, {1}", lease.clientId(), LeaseManager.describe(longer));
          manager.schedule(file, longer.binding().untilRenewal());
        }
        return;
      }
    } catch (LeaseRefusedException e) {
      LOG.get().log(WARNING, lease.clientId() + ": " + e.getMessage());
      reacquire(file, lease, link);
      return;
    } catch (CniException | IOException e) {
      LOG.get().log(WARNING, lease.clientId() + ": " + e.getMessage());
    }
    // Retry after half of the remaining time (RFC 2131, section 4.4.5).
    Duration remaining = anyServer ? binding.untilExpiry() : binding.untilRebinding();
    manager.schedule(
        file, min(max(MIN_RETRY_DELAY, remaining.dividedBy(2)), max(remaining, Duration.ZERO)));
  }

  /** Asks all servers: one without records of the lease may still grant the same addresses. */
  private void reacquire(Path file, Lease lease, ContainerLink link)
      throws CniException, IOException {
    try {
      Lease acquired =
          manager.acquire(
              lease,
              link,
              lease.binding().addresses(),
              it -> replace(lease, it),
              Deadline.after(REACQUIRE_TIMEOUT));
      LOG.get()
          .log(INFO, "{0}: granted again, {1}", lease.clientId(), LeaseManager.describe(acquired));
      manager.schedule(file, acquired.binding().untilRenewal());
    } catch (LeaseRefusedException e) {
      expire(lease, link, String.valueOf(e.getMessage()));
    } catch (CniException e) {
      if (!e.is(ErrorCode.TRY_AGAIN_LATER)) {
        throw e;
      }
      expire(lease, link, e.getMessage());
    }
  }

  private void replace(Lease lease, Lease acquired) throws CniException, LeaseRefusedException {
    if (!directory.replace(lease, acquired)) {
      throw new LeaseRefusedException("the lease has been released");
    }
  }

  /** Removes the addresses from the interface. The file is kept for CHECK to report the expiry. */
  private void expire(Lease lease, ContainerLink link, String reason)
      throws CniException, IOException {
    LOG.get()
        .log(
            ERROR,
            "{0}: the lease is lost: {1}; {2}",
            lease.clientId(),
            reason,
            LeaseManager.describe(lease));
    publishLost(lease, reason);
    link.removeAddresses(lease.binding().addresses());
    directory.replace(lease, lease.with(lease.binding().ended()));
  }

  private void publishLost(Lease lease, String reason) {
    String addresses =
        lease.binding().addresses().stream().map(InetAddresses::format).collect(joining(", "));
    events.accept(
        PluginEvent.now(
            PluginEvent.Kind.LEASE_LOST,
            "dhcp",
            lease.network(),
            Optional.of(lease.id()),
            "the lease of " + addresses + " is lost: " + reason));
  }

  private static Duration min(Duration one, Duration other) {
    return one.compareTo(other) < 0 ? one : other;
  }

  private static Duration max(Duration one, Duration other) {
    return one.compareTo(other) > 0 ? one : other;
  }
}
