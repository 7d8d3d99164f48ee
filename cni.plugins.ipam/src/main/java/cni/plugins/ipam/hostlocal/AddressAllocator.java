package cni.plugins.ipam.hostlocal;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Result;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Allocates the addresses of one attachment, one from each range set. If an allocation fails, the
 * addresses that were reserved before it are released.
 *
 * @param requested the addresses to allocate; a range set that contains none of them provides its
 *     next free address
 */
record AddressAllocator(
    ReservationStore reservations, AttachmentId id, List<InetAddress> requested) {
  /**
   * Allocates and reserves the addresses.
   *
   * @throws CniException code 4 if the attachment already has an address of a set, code 7 if a
   *     requested address cannot be allocated, code 11 if it is reserved or a set has no free
   *     address, code 5 if a file cannot be read or written
   */
  List<Result.IpConfig> allocate(List<RangeSet> sets) throws CniException {
    ReservationHolder holder = ReservationHolder.of(id);
    List<InetAddress> existing = new ArrayList<>(reservations.heldBy(holder));
    existing.addAll(reservations.heldBy(ReservationHolder.ofContainer(id.containerId())));
    List<InetAddress> unassigned = new ArrayList<>(requested);
    List<Result.IpConfig> allocated = new ArrayList<>();
    try {
      for (int i = 0; i < sets.size(); i++) {
        RangeSet set = sets.get(i);
        Optional<InetAddress> wanted = unassigned.stream().filter(set::contains).findFirst();
        requireNoExisting(set, existing);
        InetAddress address =
            wanted.isPresent() ? requireFree(wanted.get(), set) : nextAddress(set, i);
        reservations.reserve(address, holder, i);
        allocated.add(set.toIpConfig(address));
        wanted.ifPresent(unassigned::remove);
      }
      if (!unassigned.isEmpty()) {
        throw new CniException(
            ErrorCode.INVALID_CONFIG,
            "more addresses are requested than there are range sets; left over: "
                + unassigned.stream().map(InetAddresses::format).collect(Collectors.joining(", ")));
      }
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

  private void requireNoExisting(RangeSet set, List<InetAddress> existing) throws CniException {
    for (InetAddress address : existing) {
      if (set.contains(address)) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "%s has been allocated to %s (CNI_CONTAINERID, CNI_IFNAME) already; delete that"
                    .formatted(InetAddresses.format(address), describeHolder(address))
                + " attachment before adding it again");
      }
    }
  }

  private String describeHolder(InetAddress address) throws CniException {
    return reservations.holderOf(address).map(Object::toString).orElse("an unknown holder");
  }

  private InetAddress requireFree(InetAddress address, RangeSet set) throws CniException {
    if (address.equals(set.rangeOf(address).orElseThrow().gateway())) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "the requested address " + InetAddresses.format(address) + " is the subnet's gateway");
    }
    if (reservations.isReserved(AddressKey.of(address))) {
      throw new CniException(
          ErrorCode.TRY_AGAIN_LATER,
          "the requested address "
              + InetAddresses.format(address)
              + " is held by "
              + describeHolder(address));
    }
    return address;
  }

  private InetAddress nextAddress(RangeSet set, int rangeSetIndex) throws CniException {
    Optional<InetAddress> last = reservations.lastReserved(rangeSetIndex);
    return nextFree(set, last)
        .orElseThrow(
            () ->
                new CniException(
                    ErrorCode.TRY_AGAIN_LATER,
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
