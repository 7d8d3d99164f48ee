package cni.plugins.ipam;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Ip;
import cni.api.Result;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** One attachment's addresses in the making: all of them, or none stays reserved. */
record Allocation(Reservations reservations, AttachmentId id, List<InetAddress> requested) {
  List<Result.IpConfig> allocate(List<RangeSet> sets) throws CniException {
    Map<InetAddress, Reservations.Holder> taken = reservations.read().held();
    List<InetAddress> open = new ArrayList<>(requested);
    List<Result.IpConfig> allocated = new ArrayList<>();
    try {
      for (int i = 0; i < sets.size(); i++) {
        RangeSet set = sets.get(i);
        Optional<InetAddress> wanted = open.stream().filter(set::contains).findFirst();
        requireNoneYet(set, taken);
        InetAddress address =
            wanted.isPresent() ? requireFree(wanted.get(), set, taken) : next(set, i, taken);
        reservations.reserve(address, id, i);
        allocated.add(set.describe(address));
        wanted.ifPresent(open::remove);
      }
      if (!open.isEmpty()) {
        throw new CniException(
            ErrorCode.INVALID_CONFIG,
            "more addresses are requested than there are range sets; left over: "
                + open.stream().map(Ip::format).collect(Collectors.joining(", ")));
      }
      return allocated;
    } catch (CniException e) {
      takeBack(allocated, e);
      throw e;
    }
  }

  private void takeBack(List<Result.IpConfig> allocated, CniException failure) {
    for (Result.IpConfig ip : allocated) {
      try {
        reservations.release(ip.address().address());
      } catch (CniException e) {
        failure.addSuppressed(e);
      }
    }
  }

  private void requireNoneYet(RangeSet set, Map<InetAddress, Reservations.Holder> taken)
      throws CniException {
    for (Map.Entry<InetAddress, Reservations.Holder> entry : taken.entrySet()) {
      if ((entry.getValue().is(id) || entry.getValue().isOnly(id.containerId()))
          && set.contains(entry.getKey())) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "%s has been allocated to %s (CNI_CONTAINERID, CNI_IFNAME) already; delete that"
                    .formatted(Ip.format(entry.getKey()), entry.getValue())
                + " attachment before adding it again");
      }
    }
  }

  private static InetAddress requireFree(
      InetAddress address, RangeSet set, Map<InetAddress, Reservations.Holder> taken)
      throws CniException {
    if (address.equals(set.rangeOf(address).orElseThrow().gateway())) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "the requested address " + Ip.format(address) + " is the subnet's gateway");
    }
    Reservations.Holder holder = taken.get(address);
    if (holder != null) {
      throw new CniException(
          ErrorCode.TRY_AGAIN_LATER,
          "the requested address " + Ip.format(address) + " is held by " + holder);
    }
    return address;
  }

  private InetAddress next(RangeSet set, int index, Map<InetAddress, Reservations.Holder> taken)
      throws CniException {
    Optional<InetAddress> last = reservations.lastReserved(index);
    return set.next(last, address -> !taken.containsKey(address))
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
