package cni.plugins.ipam.dhcp;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.Result;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * The leases that this process keeps.
 *
 * @param manager acquires, renews and releases them
 * @param timeout how long an ADD waits for a server at most
 * @param maxRetransmitDelay the longest delay between two messages to servers
 * @param hostPrefix the host's root directory, prepended to namespace paths; empty for none
 */
record LocalLeases(
    LeaseManager manager, Duration timeout, Duration maxRetransmitDelay, String hostPrefix)
    implements Leases {
  private static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(60);
  private static final Duration DEFAULT_MAX_RETRANSMIT_DELAY = Duration.ofSeconds(16);

  LocalLeases(LeaseManager manager) {
    this(manager, DEFAULT_TIMEOUT, DEFAULT_MAX_RETRANSMIT_DELAY, "");
  }

  @Override
  public Result allocate(AttachmentRequest request) throws CniException {
    DhcpConfig config = DhcpConfig.parse(request.config());
    Path namespace = Path.of(hostPrefix + request.requireNamespace().toAbsolutePath());
    Duration left = request.context().deadline().remaining();
    Deadline deadline = Deadline.after(left.compareTo(timeout) < 0 ? left : timeout);
    Result result = Result.EMPTY;
    List<Lease> acquired = new ArrayList<>();
    try {
      for (DhcpFamily family : config.families()) {
        var wanted =
            new Lease(
                request.config().network(),
                request.attachment().id(),
                family,
                namespace,
                "",
                DhcpConfig.options(request),
                maxRetransmitDelay,
                "",
                Binding.none());
        boolean exists =
            manager
                .find(wanted.network(), wanted.id(), family)
                .filter(it -> !it.isExpired())
                .isPresent();
        Lease lease = manager.allocate(wanted, deadline);
        if (!exists) {
          acquired.add(lease);
        }
        result = result.merge(lease.binding().result());
      }
    } catch (CniException e) {
      for (Lease lease : acquired) { // leases that existed before are kept
        manager.release(lease);
      }
      throw e;
    }
    return config.priority() == 0 ? result : withPriority(result, config.priority());
  }

  private static Result withPriority(Result result, long priority) {
    return result.withRoutes(
        result.routes().stream()
            .map(
                it ->
                    new Result.Route(
                        it.destination(),
                        it.gateway(),
                        it.mtu(),
                        it.advertisedMss(),
                        priority,
                        OptionalLong.empty(),
                        it.scope()))
            .toList());
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    String network = request.config().network();
    AttachmentId id = request.attachment().id();
    for (DhcpFamily family : DhcpConfig.parse(request.config()).families()) {
      Optional<Lease> lease = manager.find(network, id, family);
      if (lease.isEmpty() || lease.get().isExpired()) {
        throw new CniException(
            ErrorCode.INTERNAL,
            "container %s, interface %s has no %s lease%s"
                .formatted(
                    id.containerId(),
                    id.interfaceName(),
                    family.text(),
                    lease.isEmpty() ? "" : ": it expired and was not renewed"));
      }
    }
  }

  @Override
  public boolean release(AttachmentRequest request) throws CniException {
    boolean released = false;
    for (DhcpFamily family : List.of(DhcpFamily.values())) {
      Optional<Lease> lease =
          manager.find(request.config().network(), request.attachment().id(), family);
      if (lease.isPresent()) {
        manager.release(lease.get());
        released = true;
      }
    }
    return released;
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    List<CniException> failures = new ArrayList<>();
    for (Lease lease : manager.leases()) {
      if (lease.network().equals(request.config().network())
          && !request.valid().contains(lease.id())) {
        try {
          manager.release(lease);
        } catch (CniException e) {
          failures.add(e);
        }
      }
    }
    if (!failures.isEmpty()) {
      throw failures.getFirst();
    }
  }
}
