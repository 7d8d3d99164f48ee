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
import java.util.stream.Collectors;

/** Ranges of one IP family, out of which an attachment gets one address. */
record RangeSet(List<SubnetRange> ranges) {
  RangeSet {
    ranges = List.copyOf(ranges);
  }

  /**
   * Parses a list of ranges.
   *
   * @param path the list's place in the configuration, such as {@code ipam.ranges[0]}, for messages
   * @throws CniException code 7 if the list is empty, mixes families, or has ranges that overlap
   */
  static RangeSet parse(List<ConfigObject> configs, String path) throws CniException {
    if (configs.isEmpty()) {
      throw invalid(path + " is empty; it must have at least one range");
    }
    List<SubnetRange> ranges = new ArrayList<>();
    for (ConfigObject config : configs) {
      SubnetRange range = SubnetRange.parse(config);
      for (SubnetRange other : ranges) {
        if (range.isV4() != other.isV4()) {
          throw invalid(path + " mixes IPv4 and IPv6; a set holds one family, use a set for each");
        }
        if (range.overlaps(other)) {
          throw invalid(path + ": ranges " + other + " and " + range + " overlap");
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
    return ranges.stream().anyMatch(range -> other.ranges.stream().anyMatch(range::overlaps));
  }

  /** Returns the range that contains the address. */
  Optional<SubnetRange> rangeOf(InetAddress address) {
    int index = indexOf(address);
    return index < 0 ? Optional.empty() : Optional.of(ranges.get(index));
  }

  boolean contains(InetAddress address) {
    return indexOf(address) >= 0;
  }

  /** Returns the index of the range that contains the address, or -1. */
  int indexOf(InetAddress address) {
    for (int i = 0; i < ranges.size(); i++) {
      if (ranges.get(i).contains(address)) {
        return i;
      }
    }
    return -1;
  }

  /** Returns the number of addresses that can be allocated. */
  BigInteger size() {
    return ranges.stream().map(SubnetRange::size).reduce(BigInteger.ZERO, BigInteger::add);
  }

  /** Returns the address with prefix length and gateway of its range, as a result reports it. */
  Result.IpConfig toIpConfig(InetAddress address) {
    SubnetRange range = rangeOf(address).orElseThrow();
    Cidr cidr = new Cidr(address, range.subnet().prefix());
    return new Result.IpConfig(cidr, Optional.of(range.gateway()), OptionalInt.empty());
  }

  @Override
  public String toString() {
    return ranges.stream().map(SubnetRange::toString).collect(Collectors.joining(","));
  }
}
