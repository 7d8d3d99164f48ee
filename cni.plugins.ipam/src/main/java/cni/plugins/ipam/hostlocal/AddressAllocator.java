// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.plugins.ipam.range.AddressKey;
import cni.plugins.ipam.range.RangeSet;
import cni.plugins.ipam.range.RequestedAddresses;
import cni.plugins.ipam.range.SubnetRange;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Consumer;

/**
 * Allocates the addresses of one attachment, one from each range set. If an allocation fails, the
 * addresses that were reserved before it are released.
 *
 * @param requested the addresses to allocate; a range set that contains none of them provides its
 *     next free address
 * @param reclamation frees addresses when a set has no free one
 * @param exhausted is called with the reason if a set has no free address, or a requested address
 *     is reserved
 */
record AddressAllocator(
    ReservationStore reservations,
    AttachmentId id,
    List<InetAddress> requested,
    Reclamation reclamation,
    Consumer<String> exhausted) {
  /**
   * Allocates and reserves the addresses.
   *
   * @throws CniException code 4 if the attachment already has an address of a set, code 7 if a
   *     requested address cannot be allocated, code 11 if it is reserved or a set has no free
   *     address, code 5 if a file cannot be read or written
   */
  List<Result.IpConfig> allocate(HostLocalConfig config) throws CniException {
    ReservationHolder holder = ReservationHolder.of(id);
    List<InetAddress> existing = new ArrayList<>(reservations.heldBy(holder));
    existing.addAll(reservations.heldBy(ReservationHolder.ofContainer(id.containerId())));
    Map<RangeSet, InetAddress> existingBySet = config.ranges().firstBySet(existing);
    Map<RangeSet, InetAddress> wantedBySet = config.ranges().firstBySet(requested);
    Set<InetAddress> unassigned = new LinkedHashSet<>(requested);
    List<Result.IpConfig> allocated = new ArrayList<>();
    try {
      List<RangeSet> sets = config.ranges().sets();
      for (int i = 0; i < sets.size(); i++) {
        RangeSet set = sets.get(i);
        requireNoExisting(Optional.ofNullable(existingBySet.get(set)));
        InetAddress wanted = wantedBySet.get(set);
        InetAddress address = wanted == null ? nextAddress(set, i) : requireFree(wanted, set);
        reservations.reserve(address, holder, OptionalInt.of(i));
        allocated.add(set.toIpConfig(address));
        unassigned.remove(address);
      }
      RequestedAddresses.requireNoneLeft(unassigned);
      return allocated;
    } catch (CniException e) {
      rollback(allocated, e);
      throw e;
    }
  }

  private void rollback(List<Result.IpConfig> allocated, CniException failure) {
    for (Result.IpConfig ip : allocated) {
      try {
        reservations.release(ip.address().address());
      } catch (CniException e) {
        failure.addSuppressed(e);
      }
    }
  }

  private void requireNoExisting(Optional<InetAddress> existing) throws CniException {
    if (existing.isPresent()) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "%s has been allocated to %s (CNI_CONTAINERID, CNI_IFNAME) already; delete that"
                  .formatted(
                      InetAddresses.format(existing.get()),
                      reservations.describeHolder(existing.get()))
              + " attachment before adding it again");
    }
  }

  private InetAddress requireFree(InetAddress address, RangeSet set) throws CniException {
    RequestedAddresses.requireNotGateway(address, set);
    if (reservations.isReserved(AddressKey.of(address))) {
      throw unavailable(describeTaken(address, reservations));
    }
    return address;
  }

  /** Returns why a requested address that is reserved cannot be assigned. */
  static String describeTaken(InetAddress address, ReservationStore reservations) {
    return "the requested address "
        + InetAddresses.format(address)
        + " is held by "
        + reservations.describeHolder(address);
  }

  private CniException unavailable(String reason) {
    exhausted.accept(reason);
    return new CniException(ErrorCode.TRY_AGAIN_LATER, reason);
  }

  private InetAddress nextAddress(RangeSet set, int rangeSetIndex) throws CniException {
    Optional<InetAddress> last = reservations.lastReserved(rangeSetIndex);
    Optional<InetAddress> free = nextFree(set, last);
    if (free.isEmpty() && reclamation.reclaim(set, reservations)) {
      free = nextFree(set, last);
    }
    return free.orElseThrow(
        () ->
            unavailable(
                "no address is free in range set "
                    + rangeSetIndex
                    + " ("
                    + set
                    + "): all "
                    + set.size()
                    + " are reserved; delete attachments, run GC, or give the network a"
                    + " larger range"));
  }

  /**
   * Finds the next free address round-robin: from the one after the last allocated to the end of
   * its range, through the other ranges, then from the start of its range. Starts with the first
   * range if {@code last} is absent or not in the set.
   */
  private Optional<InetAddress> nextFree(RangeSet set, Optional<InetAddress> last) {
    List<SubnetRange> ranges = set.ranges();
    int lastRange = last.map(set::indexOf).orElse(-1);
    int start = Math.max(lastRange, 0);
    AddressKey from =
        lastRange < 0
            ? AddressKey.of(ranges.getFirst().first())
            : AddressKey.of(last.orElseThrow()).next();
    Optional<InetAddress> found = firstFree(ranges.get(start), from);
    for (int i = 1; i <= ranges.size() && found.isEmpty(); i++) {
      SubnetRange range = ranges.get((start + i) % ranges.size());
      found = firstFree(range, AddressKey.of(range.first()));
    }
    return found;
  }

  private Optional<InetAddress> firstFree(SubnetRange range, AddressKey from) {
    AddressKey gateway = AddressKey.of(range.gateway());
    AddressKey last = AddressKey.of(range.last());
    // The address after the highest of all wraps around to zero, which is before the range.
    boolean inRange = from.compareTo(AddressKey.of(range.first())) >= 0;
    for (AddressKey key = from; inRange && key.compareTo(last) <= 0; key = key.next()) {
      if (!key.equals(gateway) && !reservations.isReserved(key)) {
        return Optional.of(key.toAddress());
      }
      inRange = !key.equals(last);
    }
    return Optional.empty();
  }
}
