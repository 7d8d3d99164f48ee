// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.range;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Result;
import java.math.BigInteger;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Ranges of one IP family, out of which an attachment gets one address. */
public final class RangeSet {
  /** The number of ranges, or of sets, that a message names. */
  private static final int MAX_NAMED = 8;

  private final List<SubnetRange> ranges;

  /** The position of each range in the list. */
  private final RangeIndex<Integer> positions;

  /** The configuration of each range, for messages. */
  private final List<ConfigObject> sources;

  private RangeSet(
      List<SubnetRange> ranges, RangeIndex<Integer> positions, List<ConfigObject> sources) {
    this.sources = sources;
    this.ranges = ranges;
    this.positions = positions;
  }

  /**
   * Parses a list of ranges.
   *
   * @param configs the ranges, at least one
   * @throws CniException code 7 if a range is invalid, or the list mixes families, has ranges that
   *     overlap or no address besides gateways
   */
  public static RangeSet parse(List<ConfigObject> configs) throws CniException {
    List<SubnetRange> ranges = new ArrayList<>(configs.size());
    var positions = new RangeIndex<Integer>();
    for (ConfigObject config : configs) {
      SubnetRange range = SubnetRange.parse(config);
      if (!ranges.isEmpty() && range.isV4() != ranges.getFirst().isV4()) {
        throw config.invalid(
            "subnet", "mixes families with the range before it: use a set for each family");
      }
      Optional<SubnetRange> other = positions.add(range, ranges.size());
      if (other.isPresent()) {
        throw overlap(config, range, other.get());
      }
      ranges.add(range);
    }
    var set = new RangeSet(List.copyOf(ranges), positions, List.copyOf(configs));
    if (set.size().signum() <= 0) {
      throw isFull(configs.getFirst(), ranges.getFirst());
    }
    return set;
  }

  private static CniException isFull(ConfigObject config, SubnetRange range) {
    String key =
        Stream.of("rangeStart", "rangeEnd").filter(config::has).findFirst().orElse("subnet");
    return config.invalid(
        key,
        "leaves no address: the range %s has only the gateway's; extend it, or give another gateway"
            .formatted(range));
  }

  /** Returns the error (code 7) for a range of this set that overlaps one of another set. */
  public CniException overlap(int index, SubnetRange other) {
    return overlap(sources.get(index), ranges.get(index), other);
  }

  private static CniException overlap(ConfigObject source, SubnetRange range, SubnetRange other) {
    return source.invalid(
        "subnet", "has range " + range + ", which overlaps " + other + ": separate them");
  }

  /** Returns the ranges, in the order in which addresses are allocated from them. */
  public List<SubnetRange> ranges() {
    return ranges;
  }

  public boolean isV4() {
    return ranges.getFirst().isV4();
  }

  /** Returns the range that contains the address. */
  public Optional<SubnetRange> rangeOf(InetAddress address) {
    return positions.find(address).map(ranges::get);
  }

  /** Returns the index of the range that contains the address, or -1. */
  public int indexOf(InetAddress address) {
    return positions.find(address).orElse(-1);
  }

  /** Returns the number of addresses that can be allocated. */
  public BigInteger size() {
    return ranges.stream().map(SubnetRange::size).reduce(BigInteger.ZERO, BigInteger::add);
  }

  /** Returns the address with prefix length and gateway of its range, as a result reports it. */
  public Result.IpConfig toIpConfig(InetAddress address) {
    SubnetRange range = rangeOf(address).orElseThrow();
    Cidr cidr = new Cidr(address, range.subnet().prefix());
    return new Result.IpConfig(cidr, Optional.of(range.gateway()), OptionalInt.empty());
  }

  /** Returns the ranges for a message. */
  @Override
  public String toString() {
    return abbreviate(ranges, ",");
  }

  /** Joins the first elements of a list, for a message, and says how many more there are. */
  public static String abbreviate(List<?> elements, String separator) {
    String named =
        elements.stream()
            .limit(MAX_NAMED)
            .map(String::valueOf)
            .collect(Collectors.joining(separator));
    int more = elements.size() - MAX_NAMED;
    return more > 0 ? named + " and " + more + " more" : named;
  }
}
