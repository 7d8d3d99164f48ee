// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.GcRequest;
import cni.api.Result;
import java.net.InetAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

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
    return allocate(request, family -> List.of());
  }

  @Override
  public void reacquire(AttachmentRequest request) throws CniException {
    Result previous = request.requirePrevResult();
    Result _ =
        allocate(
            request,
            family ->
                previous.ips().stream()
                    .map(ip -> ip.address().address())
                    .filter(family::hasAddress)
                    .toList());
  }

  /** Allocates the leases; those that do not exist yet with the required addresses, if any. */
  private Result allocate(
      AttachmentRequest request, Function<DhcpFamily, List<InetAddress>> required)
      throws CniException {
    DhcpConfig config = DhcpConfig.parse(request.config());
    Duration left = request.context().deadline().remaining();
    Deadline deadline = Deadline.after(left.compareTo(timeout) < 0 ? left : timeout);
    Result result = Result.EMPTY;
    List<Lease> acquired = new ArrayList<>();
    try {
      for (DhcpFamily family : config.families()) {
        Lease wanted = wanted(request, family);
        boolean exists =
            manager
                .find(wanted.network(), wanted.id(), family)
                .filter(it -> !it.isExpired())
                .isPresent();
        Lease lease = manager.allocate(wanted, required.apply(family), deadline);
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
    return config.withPriority(result);
  }

  @Override
  public void drop(AttachmentRequest request, List<DhcpFamily> families) throws CniException {
    for (DhcpFamily family : families) {
      Optional<Lease> lease =
          manager.find(request.config().network(), request.attachment().id(), family);
      if (lease.isPresent()) {
        manager.drop(lease.get());
      }
    }
  }

  private Lease wanted(AttachmentRequest request, DhcpFamily family) throws CniException {
    return new Lease(
        request.config().network(),
        request.attachment().id(),
        family,
        Path.of(hostPrefix + request.requireNamespace().toAbsolutePath()),
        "",
        DhcpConfig.options(request),
        maxRetransmitDelay,
        "",
        Binding.none());
  }

  @Override
  public Result find(AttachmentRequest request, List<String> missing) throws CniException {
    String network = request.config().network();
    AttachmentId id = request.attachment().id();
    DhcpConfig config = DhcpConfig.parse(request.config());
    Result result = Result.EMPTY;
    for (DhcpFamily family : config.families()) {
      Optional<Lease> lease = manager.find(network, id, family);
      if (lease.isPresent() && !lease.get().isExpired()) {
        result = result.merge(lease.get().binding().result());
      } else {
        missing.add(
            family.describeMissing(id)
                + (lease.isEmpty() ? "" : ": it expired and was not renewed"));
      }
    }
    return config.withPriority(result);
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
