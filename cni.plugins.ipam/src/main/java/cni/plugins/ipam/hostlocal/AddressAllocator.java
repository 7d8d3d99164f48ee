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

/** One attachment's addresses in the making: all of them, or none stays reserved. */
record AddressAllocator(
    ReservationStore reservations, AttachmentId id, List<InetAddress> requested) {
  List<Result.IpConfig> allocate(List<RangeSet> sets) throws CniException {
    List<InetAddress> before = new ArrayList<>(reservations.heldBy(id));
    before.addAll(reservations.heldBy(id.containerId()));
    List<InetAddress> open = new ArrayList<>(requested);
    List<Result.IpConfig> allocated = new ArrayList<>();
    try {
      for (int i = 0; i < sets.size(); i++) {
        RangeSet set = sets.get(i);
        Optional<InetAddress> wanted = open.stream().filter(set::contains).findFirst();
        requireNoExisting(set, before);
        InetAddress address =
            wanted.isPresent() ? requireFree(wanted.get(), set) : nextAddress(set, i);
        reservations.reserve(address, id, i);
        allocated.add(set.toIpConfig(address));
        wanted.ifPresent(open::remove);
      }
      if (!open.isEmpty()) {
        throw new CniException(
            ErrorCode.INVALID_CONFIG,
            "more addresses are requested than there are range sets; left over: "
                + open.stream().map(InetAddresses::format).collect(Collectors.joining(", ")));
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

  private void requireNoExisting(RangeSet set, List<InetAddress> before) throws CniException {
    for (InetAddress address : before) {
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
    return reservations.holderOf(address).map(Object::toString).orElse("nobody any more");
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

  private InetAddress nextAddress(RangeSet set, int index) throws CniException {
    Optional<InetAddress> last = reservations.lastReserved(index);
    return set.next(last, address -> !reservations.isReserved(address))
        .orElseThrow(
            () ->
                new CniException(
                    ErrorCode.TRY_AGAIN_LATER,
                    "no address is free in range set "
                        + index
                        + " ("
                        + set
                        + "): all "
                        + set.size()
                        + " are reserved; delete attachments, run GC, or give the network a"
                        + " larger range"));
  }
}
