package cni.plugins.ipam.dhcp;

import static cni.plugins.ipam.Log.LOG;
import static java.lang.System.Logger.Level.DEBUG;
import static java.lang.System.Logger.Level.ERROR;
import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;
import static java.util.stream.Collectors.joining;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.Ip;
import cni.api.PluginEvent;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Consumer;

/** What a lease needs in the course of its time: to be extended, had anew, or ended. */
final class LeaseExtension {
  /** How long one request for more time waits for its answer. */
  private static final Duration PATIENCE = Duration.ofSeconds(2);

  /** How long a lease that a server refuses is tried to be had anew. */
  private static final Duration SECOND_CHANCE = Duration.ofSeconds(5);

  /** Between two requests for more time at least: leases of seconds exist in tests. */
  private static final Duration SHORTEST_PAUSE = Duration.ofSeconds(1);

  private final LeaseDirectory directory;
  private final LeaseKeeper keeper;

  private final Consumer<PluginEvent> events;

  LeaseExtension(LeaseDirectory directory, LeaseKeeper keeper, Consumer<PluginEvent> events) {
    this.directory = directory;
    this.keeper = keeper;
    this.events = events;
  }

  /** Does for a lease what is due, and says when it is to be looked at again. */
  void attend(Path file, Lease lease) throws CniException, IOException {
    if (lease.binding().isEnded()) {
      return;
    }
    Optional<AttachedLink> open = AttachedLink.of(lease);
    if (open.isEmpty()) {
      LOG.log(INFO, "{0}: the interface is gone, and so is the lease", lease.clientId());
      directory.delete(file);
      publish(lease, "interface " + lease.id().interfaceName() + " is gone");
      return;
    }
    try (AttachedLink link = open.get()) {
      if (lease.isOver()) {
        end(lease, link, "no server has extended it");
      } else if (lease.binding().untilRenewal().isPositive()) {
        keeper.schedule(file, lease.binding().untilRenewal());
      } else {
        extend(file, lease, link);
      }
    }
  }

  private void extend(Path file, Lease lease, AttachedLink link) throws CniException, IOException {
    Binding binding = lease.binding();
    boolean anyServer = !binding.untilRebinding().isPositive();
    Duration left = anyServer ? binding.untilExpiry() : binding.untilRebinding();
    try (Client client = lease.family().open(link, lease, Deadline.after(PATIENCE))) {
      Optional<Binding> extended = client.extend(binding, anyServer, min(PATIENCE, left));
      if (extended.isPresent()) {
        Lease longer = lease.with(extended.get());
        if (directory.write(longer, there -> there.filter(lease::hasSameKeeper).isPresent())) {
          LOG.log(DEBUG, "{0}: extended, {1}", lease.clientId(), LeaseKeeper.describe(longer));
          keeper.schedule(file, longer.binding().untilRenewal());
        }
        return;
      }
    } catch (RefusedException e) {
      LOG.log(WARNING, lease.clientId() + ": " + e.getMessage());
      haveAnew(file, lease, link);
      return;
    } catch (CniException | IOException e) {
      LOG.log(WARNING, lease.clientId() + ": " + e.getMessage());
    }
    // Half of the time that is left, RFC 2131, 4.4.5; the keeper looks at least once a minute.
    Duration rest = anyServer ? binding.untilExpiry() : binding.untilRebinding();
    keeper.schedule(file, min(max(SHORTEST_PAUSE, rest.dividedBy(2)), max(rest, Duration.ZERO)));
  }

  /** A server that has forgotten the lease may still grant the same address again. */
  private void haveAnew(Path file, Lease lease, AttachedLink link)
      throws CniException, IOException {
    try {
      Lease anew =
          keeper.acquire(lease, link, lease.binding().addresses(), Deadline.after(SECOND_CHANCE));
      LOG.log(INFO, "{0}: granted again, {1}", lease.clientId(), LeaseKeeper.describe(anew));
      keeper.schedule(file, anew.binding().untilRenewal());
    } catch (RefusedException e) {
      end(lease, link, String.valueOf(e.getMessage()));
    } catch (CniException e) {
      if (!e.is(ErrorCode.TRY_AGAIN_LATER)) {
        throw e;
      }
      end(lease, link, e.getMessage());
    }
  }

  /** The addresses may not be used any more. The file stays, so that CHECK can tell. */
  private void end(Lease lease, AttachedLink link, String why) throws CniException, IOException {
    LOG.log(
        ERROR,
        "{0}: the lease is over: {1}; {2}",
        lease.clientId(),
        why,
        LeaseKeeper.describe(lease));
    publish(lease, why);
    link.remove(lease.binding().addresses());
    directory.write(
        lease.with(lease.binding().over()),
        there -> there.filter(lease::hasSameKeeper).isPresent());
  }

  private void publish(Lease lease, String why) {
    String addresses = lease.binding().addresses().stream().map(Ip::format).collect(joining(", "));
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
