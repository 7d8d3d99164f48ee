// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.internal.SpecialAddresses;
import cni.plugins.ipam.ConfiguredRoutes;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The configuration of host-local: the {@code ipam} section and {@code runtimeConfig.ipRanges}.
 *
 * @param rangeSets the range sets; one address is allocated from each
 * @param setIndex finds the range set of an address
 * @param routes the routes that the result reports
 * @param resolvConf the file that the resolver settings are read from
 */
record HostLocalConfig(
    List<RangeSet> rangeSets,
    RangeIndex<RangeSet> setIndex,
    List<Result.Route> routes,
    Optional<String> resolvConf) {
  private static final String DEFAULT_DATA_DIR = "/var/lib/cni/networks";

  HostLocalConfig {
    rangeSets = List.copyOf(rangeSets);
    routes = List.copyOf(routes);
  }

  /**
   * Parses a configuration.
   *
   * @throws CniException code 7 if it is invalid
   */
  static HostLocalConfig parse(PluginConfig config) throws CniException {
    ConfigObject ipam = config.requireIpam("host-local");
    List<RangeSet> sets = new ArrayList<>();
    Optional<ConfigObject> runtime = config.runtimeConfig();
    if (runtime.isPresent()) {
      addRangeSets(runtime.get(), "ipRanges", sets);
    }
    if (ipam.has("subnet")) {
      sets.add(RangeSet.parse(List.of(ipam)));
    }
    addRangeSets(ipam, "ranges", sets);
    RangeIndex<RangeSet> index = requireConsistent(sets, ipam, config.version());
    return new HostLocalConfig(
        sets, index, ConfiguredRoutes.parse(ipam), ipam.nonEmpty("resolvConf"));
  }

  /**
   * Returns the directory that contains a reservation directory per network.
   *
   * @throws CniException code 7 if {@code ipam.dataDir} is not a string
   */
  static String dataDir(PluginConfig config) throws CniException {
    return config.requireIpam("host-local").nonEmpty("dataDir").orElse(DEFAULT_DATA_DIR);
  }

  /**
   * Validates a configuration, without CNI_ARGS.
   *
   * @throws CniException code 7 if it is invalid
   */
  static void validate(PluginConfig config) throws CniException {
    ConfigObject ipam = config.requireIpam("host-local");
    dataDir(config);
    ipam.nonEmpty("resolvConf");
    ConfiguredRoutes.parse(ipam);
    requestedAddresses(config, Map.of());
    if (!ipam.has("subnet")) {
      for (String key : List.of("rangeStart", "rangeEnd", "gateway")) {
        if (ipam.has(key)) {
          ipam.warn(key, "has no effect without subnet: set subnet beside it");
        }
      }
    }
    HostLocalConfig parsed = parse(config);
    validateRanges(ipam);
    if (!config.capabilities().contains("ipRanges")) {
      ConfiguredRoutes.warnOfGateways(
          ipam,
          parsed.rangeSets().stream()
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

  /**
   * Returns the requested addresses: of {@code IP} in CNI_ARGS, {@code args.cni.ips} and the
   * capability {@code ips}. A prefix length is ignored; the one of the address's range is used.
   *
   * @throws CniException code 4 if CNI_ARGS has an invalid address, code 7 if the configuration has
   *     one
   */
  static List<InetAddress> requestedAddresses(PluginConfig config, Map<String, String> genericArgs)
      throws CniException {
    List<InetAddress> requested = new ArrayList<>();
    String argument = genericArgs.getOrDefault("IP", "");
    if (!argument.isEmpty()) {
      try {
        requested.add(parseRequested(argument));
      } catch (IllegalArgumentException e) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "CNI_ARGS: IP=" + Json.quote(argument) + " " + e.getMessage(),
            e);
      }
    }
    for (Optional<ConfigObject> section : List.of(config.args(), config.runtimeConfig())) {
      if (section.isPresent()) {
        requested.addAll(section.get().parsedList("ips", HostLocalConfig::parseRequested));
      }
    }
    return requested.stream().distinct().toList();
  }

  private static InetAddress parseRequested(String text) {
    return text.indexOf('/') < 0 ? InetAddresses.parse(text) : Cidr.parse(text).address();
  }
}
