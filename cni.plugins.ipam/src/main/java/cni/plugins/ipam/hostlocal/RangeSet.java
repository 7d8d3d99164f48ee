package cni.plugins.ipam.hostlocal;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.Result;
import java.math.BigInteger;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/** Ranges of one family that stand for each other: a container gets one address out of them. */
record RangeSet(List<SubnetRange> ranges) {
  RangeSet {
    ranges = List.copyOf(ranges);
  }

  /**
   * Reads a list of ranges.
   *
   * @param where the list's place in the configuration, for messages
   * @throws CniException code 7 if it is empty, mixes families, or ranges overlap
   */
  static RangeSet parse(List<ConfigObject> configs, String where) throws CniException {
    if (configs.isEmpty()) {
      throw invalid(where + " is empty; it must have at least one range");
    }
    List<SubnetRange> ranges = new ArrayList<>();
    for (ConfigObject config : configs) {
      SubnetRange range = SubnetRange.parse(config);
      for (SubnetRange other : ranges) {
        if (range.isV4() != other.isV4()) {
          throw invalid(where + " mixes IPv4 and IPv6; a set holds one family, use a set for each");
        }
        if (range.overlaps(other)) {
          throw invalid(where + ": ranges " + other + " and " + range + " overlap");
        }
      }
      ranges.add(range);
    }
    return new RangeSet(ranges);
  }

  private static CniException invalid(String message) {
    return new CniException(ErrorCode.INVALID_CONFIG, message);
  }

  boolean isV4() {
    return ranges.getFirst().isV4();
  }

  boolean overlaps(RangeSet other) {
    return ranges.stream().anyMatch(mine -> other.ranges.stream().anyMatch(mine::overlaps));
  }

  Optional<SubnetRange> rangeOf(InetAddress address) {
    int index = indexOf(address);
    return index < 0 ? Optional.empty() : Optional.of(ranges.get(index));
  }

  boolean contains(InetAddress address) {
    return indexOf(address) >= 0;
  }

  /** Which of the ranges the address is in, or -1. */
  private int indexOf(InetAddress address) {
    for (int i = 0; i < ranges.size(); i++) {
      if (ranges.get(i).contains(address)) {
        return i;
      }
    }
    return -1;
  }

  /** How many addresses it can give out. */
  BigInteger size() {
    return ranges.stream().map(SubnetRange::size).reduce(BigInteger.ZERO, BigInteger::add);
  }

  /** The address as a result tells it. */
  Result.IpConfig toIpConfig(InetAddress address) {
    SubnetRange range = rangeOf(address).orElseThrow();
    Cidr cidr = new Cidr(address, range.subnet().prefix());
    return new Result.IpConfig(cidr, Optional.of(range.gateway()), OptionalInt.empty());
  }

  /**
   * The first free address, going round from the one after {@code last}.
   *
   * @param last the address given out before; if it is not in the set, the search begins at the
   *     start of the first range
   * @param free whether an address can be had
   */
  Optional<InetAddress> next(Optional<InetAddress> last, Predicate<AddressKey> free) {
    int begun = last.map(this::indexOf).orElse(-1);
    int start = Math.max(begun, 0);
    AddressKey from =
        begun < 0
            ? AddressKey.of(ranges.getFirst().first())
            : AddressKey.of(last.orElseThrow()).next();
    // The rest of the range begun, the others, then that range from its start.
    Optional<InetAddress> found = search(ranges.get(start), from, free);
    for (int i = 1; i <= ranges.size() && found.isEmpty(); i++) {
      SubnetRange range = ranges.get((start + i) % ranges.size());
      found = search(range, AddressKey.of(range.first()), free);
    }
    return found;
  }

  private static Optional<InetAddress> search(
      SubnetRange range, AddressKey from, Predicate<AddressKey> free) {
    AddressKey gateway = AddressKey.of(range.gateway());
    AddressKey last = AddressKey.of(range.last());
    // What comes after the highest address of all is the lowest, which is before the range.
    boolean inside = from.compareTo(AddressKey.of(range.first())) >= 0;
    for (AddressKey key = from; inside && key.compareTo(last) <= 0; key = key.next()) {
      if (!key.equals(gateway) && free.test(key)) {
        return Optional.of(key.toAddress());
      }
      inside = !key.equals(last);
    }
    return Optional.empty();
  }

  @Override
  public String toString() {
    return ranges.stream().map(SubnetRange::toString).collect(Collectors.joining(","));
  }
}
