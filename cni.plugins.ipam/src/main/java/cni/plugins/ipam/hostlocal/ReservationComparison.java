// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.plugins.ipam.range.AddressKey;
import cni.plugins.ipam.range.RangeSet;
import cni.plugins.ipam.range.RequestedAddresses;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * Compares the reservations of an attachment with its addresses, those of the last result and those
 * that are requested. New addresses are reserved by changes; those that they replace are released
 * when the update is complete.
 */
final class ReservationComparison {
  private final AttachmentRequest desired;
  private final HostLocalConfig config;
  private final Optional<HostLocalConfig> current;
  private final List<InetAddress> requested;
  private final ReservationDirectory directory;
  private final Differences differences;
  private final AttachmentId id;

  /** The addresses that are reserved for the attachment, or for any interface of the container. */
  private final Set<InetAddress> held = new LinkedHashSet<>();

  /** Those of {@link #held} that are certainly this attachment's. */
  private List<InetAddress> heldExactly = List.of();

  /**
   * Creates a comparison.
   *
   * @param current the current configuration; absent if nothing is to be changed
   * @param requested the requested addresses, which are in the desired ranges
   */
  ReservationComparison(
      AttachmentRequest desired,
      HostLocalConfig config,
      Optional<HostLocalConfig> current,
      List<InetAddress> requested,
      ReservationDirectory directory,
      Differences differences) {
    this.desired = desired;
    this.config = config;
    this.current = current;
    this.requested = requested;
    this.directory = directory;
    this.differences = differences;
    this.id = desired.attachment().id();
  }

  /**
   * Adds the differences and returns the addresses as ADD would.
   *
   * @throws CniException code 7 or 11 as for ADD, if a requested address cannot be assigned
   */
  List<Result.IpConfig> compare() throws CniException {
    Optional<ReservationStore> open = directory.openIfPresent(desired.context().deadline());
    try {
      open.ifPresent(this::readHeld);
      return compareSets(open);
    } finally {
      open.ifPresent(ReservationStore::close);
    }
  }

  private void readHeld(ReservationStore reservations) {
    heldExactly = reservations.heldBy(ReservationHolder.of(id));
    held.addAll(heldExactly);
    held.addAll(reservations.heldBy(ReservationHolder.ofContainer(id.containerId())));
  }

  private List<Result.IpConfig> compareSets(Optional<ReservationStore> reservations)
      throws CniException {
    List<InetAddress> previous = previousAddresses();
    requireKept(previous);
    Map<RangeSet, InetAddress> present = config.ranges().firstBySet(previous);
    config.ranges().firstBySet(held).forEach(present::putIfAbsent);
    Map<RangeSet, InetAddress> wanted = new HashMap<>(present);
    wanted.putAll(config.ranges().firstBySet(requested));
    RequestedAddresses.requireNoneLeft(
        requested.stream().filter(it -> !wanted.containsValue(it)).toList());
    List<Result.IpConfig> ips = new ArrayList<>();
    for (RangeSet set : config.ranges().sets()) {
      InetAddress address = wanted.get(set);
      if (address != null) {
        compareReservation(address, set, !address.equals(present.get(set)), reservations);
        ips.add(set.toIpConfig(address));
      } else if (current.isPresent()) {
        differences.addUnchangeable("the attachment has no address in the ranges " + set);
      }
    }
    if (ips.isEmpty()) {
      differences.addUnchangeable(describeMissing());
    }
    releaseUnused(previous, ips);
    return ips;
  }

  private List<InetAddress> previousAddresses() {
    return desired.prevResult().orElse(Result.EMPTY).ips().stream()
        .map(ip -> ip.address().address())
        .toList();
  }

  /** Requires that the new ranges contain the addresses that no requested address replaces. */
  private void requireKept(List<InetAddress> previous) {
    for (InetAddress address : previous) {
      boolean isReplaced =
          requested.stream()
              .filter(it -> InetAddresses.isV4(it) == InetAddresses.isV4(address))
              .anyMatch(it -> !previous.contains(it));
      boolean isLost =
          current.isPresent()
              && current.get().ranges().contains(address)
              && !config.ranges().contains(address);
      if (isLost && !isReplaced) {
        differences.addUnchangeable(
            "address %s of the attachment is in none of the ranges: %s"
                .formatted(InetAddresses.format(address), config.ranges()));
      }
    }
  }

  /**
   * Compares the reservation of an address.
   *
   * @param isNew whether the address is requested and the attachment does not have it yet
   */
  private void compareReservation(
      InetAddress address, RangeSet set, boolean isNew, Optional<ReservationStore> reservations)
      throws CniException {
    if (isNew) {
      RequestedAddresses.requireNotGateway(address, set);
    } else if (current.isPresent() && isGateway(address, set)) {
      differences.addUnchangeable(
          "address %s of the attachment is the gateway of the ranges %s"
              .formatted(InetAddresses.format(address), set));
    }
    if (!held.contains(address)) {
      Optional<ReservationStore> taken =
          reservations.filter(it -> it.isReserved(AddressKey.of(address)));
      if (taken.isEmpty()) {
        differences.add(
            describeMissing(address),
            "reserve address " + InetAddresses.format(address),
            () -> reserve(address),
            () -> release(address));
      } else if (isNew) {
        throw taken(address, taken.get());
      } else {
        differences.addUnchangeable(
            "%s: %s is held by %s"
                .formatted(
                    describeMissing(address),
                    InetAddresses.format(address),
                    taken.get().describeHolder(address)));
      }
    }
  }

  private static boolean isGateway(InetAddress address, RangeSet set) {
    return address.equals(set.rangeOf(address).orElseThrow().gateway());
  }

  private String describeMissing(InetAddress address) {
    return held.isEmpty()
        ? describeMissing()
        : "address %s is not reserved for %s".formatted(InetAddresses.format(address), holder());
  }

  /** The finding if no reservation is left. */
  private String describeMissing() {
    return "no address is reserved for " + holder();
  }

  private String holder() {
    return "container %s, interface %s in %s"
        .formatted(id.containerId(), id.interfaceName(), directory.path());
  }

  private void reserve(InetAddress address) throws CniException {
    try (ReservationStore reservations = directory.open(deadline())) {
      if (reservations.isReserved(AddressKey.of(address))) {
        throw taken(address, reservations);
      }
      // Files of one attachment have one format: DEL releases those of the newer one, if any.
      boolean isOldFormat = heldExactly.isEmpty() && !held.isEmpty();
      ReservationHolder holder =
          isOldFormat ? ReservationHolder.ofContainer(id.containerId()) : ReservationHolder.of(id);
      reservations.reserve(address, holder, OptionalInt.empty());
    }
  }

  private static CniException taken(InetAddress address, ReservationStore reservations) {
    return new CniException(
        ErrorCode.TRY_AGAIN_LATER, AddressAllocator.describeTaken(address, reservations));
  }

  /** Releases an address if it is reserved for the attachment. */
  private void release(InetAddress address) throws CniException {
    Optional<ReservationStore> open = directory.openIfPresent(deadline());
    if (open.isPresent()) {
      try (ReservationStore reservations = open.get()) {
        if (reservations.heldBy(ReservationHolder.of(id)).contains(address)
            || reservations
                .heldBy(ReservationHolder.ofContainer(id.containerId()))
                .contains(address)) {
          reservations.release(address);
        }
      }
    }
  }

  /** Changes are also undone after the deadline of the call. */
  private Deadline deadline() {
    return desired.context().forCleanup().deadline();
  }

  /**
   * Releases the addresses of the ranges that an update has replaced, also one that was interrupted
   * before it could do so.
   */
  private void releaseUnused(List<InetAddress> previous, List<Result.IpConfig> ips) {
    Set<InetAddress> unused = new LinkedHashSet<>(heldExactly);
    if (current.isPresent()) {
      previous.stream().filter(held::contains).forEach(unused::add);
    }
    ips.forEach(ip -> unused.remove(ip.address().address()));
    for (InetAddress address : unused) {
      if (isInRanges(address)) {
        differences.addCompletion(
            "release address " + InetAddresses.format(address), () -> release(address));
      }
    }
  }

  private boolean isInRanges(InetAddress address) {
    return config.ranges().contains(address)
        || current.filter(it -> it.ranges().contains(address)).isPresent();
  }
}
