// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.range;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.PluginConfig;
import cni.api.SpecVersion;
import cni.api.internal.SpecialAddresses;
import cni.plugins.ipam.ConfiguredRoutes;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The range sets of an {@code ipam} section ({@code ranges}, or {@code subnet} and its kin) and of
 * the capability {@code ipRanges}. An attachment gets one address of each.
 *
 * @param sets the sets, at least one
 * @param index finds the set of an address
 */
public record RangeSets(List<RangeSet> sets, RangeIndex<RangeSet> index) {
  /** Copies the list. */
  public RangeSets {
    sets = List.copyOf(sets);
  }

  /**
   * Parses the range sets.
   *
   * @param ipam the {@code ipam} section of the configuration
   * @throws CniException code 7 if there are none or they are invalid
   */
  public static RangeSets parse(PluginConfig config, ConfigObject ipam) throws CniException {
    List<RangeSet> sets = new ArrayList<>();
    Optional<ConfigObject> runtime = config.runtimeConfig();
    if (runtime.isPresent()) {
      addRangeSets(runtime.get(), "ipRanges", sets);
    }
    if (ipam.has("subnet")) {
      sets.add(RangeSet.parse(List.of(ipam)));
    }
    addRangeSets(ipam, "ranges", sets);
    return new RangeSets(sets, requireConsistent(sets, ipam, config.version()));
  }

  /**
   * Parses the range sets and the routes, and warns of ranges, gateways and routes that are legal
   * but probably wrong.
   *
   * @throws CniException code 7 if there are none or they are invalid
   */
  public static void validate(PluginConfig config, ConfigObject ipam) throws CniException {
    ConfiguredRoutes.parse(ipam);
    if (!ipam.has("subnet")) {
      for (String key : List.of("rangeStart", "rangeEnd", "gateway")) {
        if (ipam.has(key)) {
          ipam.warn(key, "has no effect without subnet: set subnet beside it");
        }
      }
    }
    RangeSets parsed = parse(config, ipam);
    validateRanges(ipam);
    if (!config.capabilities().contains("ipRanges")) {
      ConfiguredRoutes.warnOfGateways(
          ipam,
          parsed.sets().stream()
              .flatMap(it -> it.ranges().stream())
              .map(SubnetRange::subnet)
              .toList());
    }
  }

  private static void validateRanges(ConfigObject ipam) throws CniException {
    List<ConfigObject> ranges = new ArrayList<>(List.of(ipam));
    ipam.objectLists("ranges").forEach(ranges::addAll);
    for (ConfigObject range : ranges) {
      range.ignore("ipRange"); // written by nerdctl, which derives rangeStart and rangeEnd from it
      Optional<Cidr> subnet = range.parsed("subnet", Cidr::parse);
      if (subnet.isPresent()) {
        SpecialAddresses.unusable(subnet.get())
            .ifPresent(
                it -> range.warn("subnet", "overlaps the " + it + ": no container can use them"));
        validateGateway(range, subnet.get());
      }
    }
  }

  /** A gateway outside its subnet is legal: a route may lead to it. */
  private static void validateGateway(ConfigObject range, Cidr subnet) throws CniException {
    Optional<InetAddress> gateway = range.parsed("gateway", InetAddresses::parse);
    if (gateway.isEmpty()) {
      return;
    }
    String problem = "";
    if (!subnet.contains(gateway.get())) {
      problem = "is not in the subnet ";
    } else if (gateway.get().equals(subnet.address())) {
      problem = "is the network's own address, of the subnet ";
    } else if (subnet.isV4() && gateway.get().equals(subnet.lastAddress())) {
      problem = "is the broadcast address of the subnet ";
    }
    if (!problem.isEmpty()) {
      range.warn("gateway", problem + subnet + ": give one of its addresses, or leave it out");
    }
  }

  private static void addRangeSets(ConfigObject config, String key, List<RangeSet> sets)
      throws CniException {
    for (List<ConfigObject> ranges : config.objectLists(key)) {
      sets.add(RangeSet.parse(ranges));
    }
  }

  private static RangeIndex<RangeSet> requireConsistent(
      List<RangeSet> sets, ConfigObject ipam, SpecVersion version) throws CniException {
    if (sets.isEmpty()) {
      throw ipam.invalid("ranges", "must list a range to allocate addresses from (or set subnet)");
    }
    var index = new RangeIndex<RangeSet>();
    for (RangeSet set : sets) {
      for (int i = 0; i < set.ranges().size(); i++) {
        Optional<SubnetRange> other = index.add(set.ranges().get(i), set);
        if (other.isPresent()) {
          throw set.overlap(i, other.get());
        }
      }
    }
    long v4 = sets.stream().filter(RangeSet::isV4).count();
    if ((v4 > 1 || sets.size() - v4 > 1) && !version.atLeast(SpecVersion.V0_3_0)) {
      throw ipam.invalid(
          "ranges",
          "would allocate several addresses of one family, which results of version "
              + version
              + " cannot contain; use cniVersion 0.3.0 or newer");
    }
    return index;
  }

  /** Returns whether a range of any set contains the address. */
  public boolean contains(InetAddress address) {
    return index.find(address).isPresent();
  }

  /** Returns the first of the addresses that is in each range set. */
  public Map<RangeSet, InetAddress> firstBySet(Collection<InetAddress> addresses) {
    Map<RangeSet, InetAddress> first = new HashMap<>();
    for (InetAddress address : addresses) {
      index.find(address).ifPresent(set -> first.putIfAbsent(set, address));
    }
    return first;
  }

  /**
   * Requires that the ranges contain the requested addresses.
   *
   * @throws CniException code 7 if they do not contain one
   */
  public void requireContained(List<InetAddress> requested) throws CniException {
    for (InetAddress address : requested) {
      if (!contains(address)) {
        throw new CniException(
            ErrorCode.INVALID_CONFIG,
            "the requested address "
                + InetAddresses.format(address)
                + " is in none of the network's ranges: "
                + this);
      }
    }
  }

  /** Returns the sets for a message. */
  @Override
  public String toString() {
    return RangeSet.abbreviate(sets, ", ");
  }
}
