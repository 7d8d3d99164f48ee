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

/** What a lease needs in the course of its time: to be extended, had anew, or ended. */
final class LeaseRenewal {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  /** How long one request for more time waits for its answer. */
  private static final Duration REQUEST_TIMEOUT = Duration.ofSeconds(2);

  /** How long a lease that a server refuses is tried to be had anew. */
  private static final Duration REACQUIRE_TIMEOUT = Duration.ofSeconds(5);

  /** Between two requests for more time at least: leases of seconds exist in tests. */
  private static final Duration MIN_RETRY_DELAY = Duration.ofSeconds(1);

  private final LeaseDirectory directory;
  private final LeaseManager manager;

  private final Consumer<PluginEvent> events;

  LeaseRenewal(LeaseDirectory directory, LeaseManager keeper, Consumer<PluginEvent> events) {
    this.directory = directory;
    this.manager = keeper;
    this.events = events;
  }

  /** Does for a lease what is due, and says when it is to be looked at again. */
  void service(Path file, Lease lease) throws CniException, IOException {
    if (lease.binding().isEnded()) {
      return;
    }
    Optional<ContainerLink> open = ContainerLink.ofLease(lease);
    if (open.isEmpty()) {
      LOG.get().log(INFO, "{0}: the interface is gone, and so is the lease", lease.clientId());
      directory.delete(file);
      publishLost(lease, "interface " + lease.id().interfaceName() + " is gone");
      return;
    }
    try (ContainerLink link = open.get()) {
      if (lease.isExpired()) {
        expire(lease, link, "no server has extended it");
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
      Optional<Binding> extended = client.renew(binding, anyServer, min(REQUEST_TIMEOUT, left));
      if (extended.isPresent()) {
        Lease longer = lease.with(extended.get());
        if (directory.write(longer, there -> there.filter(lease::hasSameOwner).isPresent())) {
          LOG.get()
              .log(DEBUG, "{0}: extended, {1}", lease.clientId(), LeaseManager.describe(longer));
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
    // Half of the time that is left, RFC 2131, 4.4.5; the keeper looks at least once a minute.
    Duration rest = anyServer ? binding.untilExpiry() : binding.untilRebinding();
    manager.schedule(file, min(max(MIN_RETRY_DELAY, rest.dividedBy(2)), max(rest, Duration.ZERO)));
  }

  /** A server that has forgotten the lease may still grant the same address again. */
  private void reacquire(Path file, Lease lease, ContainerLink link)
      throws CniException, IOException {
    try {
      Lease anew =
          manager.acquire(
              lease, link, lease.binding().addresses(), Deadline.after(REACQUIRE_TIMEOUT));
      LOG.get().log(INFO, "{0}: granted again, {1}", lease.clientId(), LeaseManager.describe(anew));
      manager.schedule(file, anew.binding().untilRenewal());
    } catch (LeaseRefusedException e) {
      expire(lease, link, String.valueOf(e.getMessage()));
    } catch (CniException e) {
      if (!e.is(ErrorCode.TRY_AGAIN_LATER)) {
        throw e;
      }
      expire(lease, link, e.getMessage());
    }
  }

  /** The addresses may not be used any more. The file stays, so that CHECK can tell. */
  private void expire(Lease lease, ContainerLink link, String why)
      throws CniException, IOException {
    LOG.get()
        .log(
            ERROR,
            "{0}: the lease is over: {1}; {2}",
            lease.clientId(),
            why,
            LeaseManager.describe(lease));
    publishLost(lease, why);
    link.removeAddresses(lease.binding().addresses());
    directory.write(
        lease.with(lease.binding().ended()),
        there -> there.filter(lease::hasSameOwner).isPresent());
  }

  private void publishLost(Lease lease, String why) {
    String addresses =
        lease.binding().addresses().stream().map(InetAddresses::format).collect(joining(", "));
    events.accept(
        PluginEvent.now(
            PluginEvent.Kind.LEASE_LOST,
            "dhcp",
            lease.network(),
            Optional.of(lease.id()),
            "the lease of " + addresses + " is over: " + why));
  }

  private static Duration min(Duration one, Duration other) {
    return one.compareTo(other) < 0 ? one : other;
  }

  private static Duration max(Duration one, Duration other) {
    return one.compareTo(other) > 0 ? one : other;
  }
}
