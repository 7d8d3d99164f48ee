package cni.plugins.ipam.dhcp;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.CollectRequest;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.Result;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Leases that this process keeps.
 *
 * @param keeper does so
 * @param patience how long an ADD may wait for a server, at most
 * @param longestPause between two tries
 * @param hostPrefix what stands before the paths of namespaces: where the host's root is
 */
record OwnLeases(LeaseKeeper keeper, Duration patience, Duration longestPause, String hostPrefix)
    implements Leases {
  private static final Duration DEFAULT_PATIENCE = Duration.ofSeconds(60);
  private static final Duration DEFAULT_PAUSE = Duration.ofSeconds(16);

  OwnLeases(LeaseKeeper keeper) {
    this(keeper, DEFAULT_PATIENCE, DEFAULT_PAUSE, "");
  }

  @Override
  public Result allocate(AttachmentRequest request) throws CniException {
    DhcpConfig config = DhcpConfig.parse(request.config());
    Path namespace = Path.of(hostPrefix + request.requireNamespace().toAbsolutePath());
    Duration left = request.context().deadline().remaining();
    Deadline deadline = Deadline.after(left.compareTo(patience) < 0 ? left : patience);
    Result result = Result.EMPTY;
    List<Lease> fresh = new ArrayList<>();
    try {
      for (Family family : config.families()) {
        var wanted =
            new Lease(
                request.config().network(),
                request.attachment().id(),
                family,
                namespace,
                "",
                DhcpConfig.options(request),
                longestPause,
                "",
                Binding.none());
        boolean held =
            keeper
                .find(wanted.network(), wanted.id(), family)
                .filter(it -> !it.isOver())
                .isPresent();
        Lease lease = keeper.allocate(wanted, deadline);
        if (!held) {
          fresh.add(lease);
        }
        result = result.plus(lease.binding().result());
      }
    } catch (CniException e) {
      for (Lease lease : fresh) { // of the other family; what was held before stays
        keeper.release(lease);
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
    for (Family family : DhcpConfig.parse(request.config()).families()) {
      Optional<Lease> lease = keeper.find(network, id, family);
      if (lease.isEmpty() || lease.get().isOver()) {
        throw new CniException(
            ErrorCode.INTERNAL,
            "container %s, interface %s has no %s lease%s"
                .formatted(
                    id.containerId(),
                    id.interfaceName(),
                    family.text(),
                    lease.isEmpty() ? "" : " any more: it is over, and was not extended"));
      }
    }
  }

  @Override
  public boolean release(AttachmentRequest request) throws CniException {
    boolean any = false;
    for (Family family : List.of(Family.values())) {
      Optional<Lease> lease =
          keeper.find(request.config().network(), request.attachment().id(), family);
      if (lease.isPresent()) {
        keeper.release(lease.get());
        any = true;
      }
    }
    return any;
  }

  @Override
  public void collect(CollectRequest request) throws CniException {
    List<CniException> failures = new ArrayList<>();
    for (Lease lease : keeper.all()) {
      if (lease.network().equals(request.config().network())
          && !request.valid().contains(lease.id())) {
        try {
          keeper.release(lease);
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
