package cni.plugins.ipam;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.Ip;
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
record RangeSet(List<AddressRange> ranges) {
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
    List<AddressRange> ranges = new ArrayList<>();
    for (ConfigObject config : configs) {
      AddressRange range = AddressRange.parse(config);
      for (AddressRange other : ranges) {
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

  Optional<AddressRange> rangeOf(InetAddress address) {
    return ranges.stream().filter(range -> range.contains(address)).findFirst();
  }

  boolean contains(InetAddress address) {
    return rangeOf(address).isPresent();
  }

  /** How many addresses it can give out. */
  BigInteger size() {
    return ranges.stream().map(AddressRange::size).reduce(BigInteger.ZERO, BigInteger::add);
  }

  /** The address as a result tells it. */
  Result.IpConfig describe(InetAddress address) {
    AddressRange range = rangeOf(address).orElseThrow();
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
  Optional<InetAddress> next(Optional<InetAddress> last, Predicate<InetAddress> free) {
    int start = 0;
    BigInteger after = Ip.toNumber(ranges.getFirst().first()).subtract(BigInteger.ONE);
    if (last.isPresent() && contains(last.get())) {
      start = ranges.indexOf(rangeOf(last.get()).orElseThrow());
      after = Ip.toNumber(last.get());
    }
    AddressRange begun = ranges.get(start);
    // The rest of the range begun, the others, then the part of the range begun that was left out.
    Optional<InetAddress> found = search(begun, after, Ip.toNumber(begun.last()), free);
    for (int i = 1; i < ranges.size() && found.isEmpty(); i++) {
      AddressRange range = ranges.get((start + i) % ranges.size());
      BigInteger before = Ip.toNumber(range.first()).subtract(BigInteger.ONE);
      found = search(range, before, Ip.toNumber(range.last()), free);
    }
    BigInteger beforeBegun = Ip.toNumber(begun.first()).subtract(BigInteger.ONE);
    return found.isPresent() ? found : search(begun, beforeBegun, after, free);
  }

  private static Optional<InetAddress> search(
      AddressRange range, BigInteger after, BigInteger last, Predicate<InetAddress> free) {
    for (BigInteger number = after.add(BigInteger.ONE);
        number.compareTo(last) <= 0;
        number = number.add(BigInteger.ONE)) {
      InetAddress address = Ip.fromNumber(number, Ip.bits(range.first()));
      if (!address.equals(range.gateway()) && free.test(address)) {
        return Optional.of(address);
      }
    }
    return Optional.empty();
  }

  @Override
  public String toString() {
    return ranges.stream().map(AddressRange::toString).collect(Collectors.joining(","));
  }
}
