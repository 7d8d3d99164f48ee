// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.InetAddresses;
import cni.api.PluginConfig;
import cni.plugins.etcd.IntervalSet.Interval;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The addresses that are never assigned: {@code exclude}, of the {@code ipam} section and of its
 * ranges.
 *
 * @param v4 the IPv4 addresses, as numbers
 * @param v6 the IPv6 addresses, as numbers
 */
record AddressExclusions(IntervalSet v4, IntervalSet v6) {
  static final String KEY = "exclude";

  /** Returns the sections that may have exclusions: {@code ipam} and the ranges. */
  static List<ConfigObject> sections(PluginConfig config, ConfigObject ipam) throws CniException {
    List<ConfigObject> sections = new ArrayList<>(List.of(ipam));
    ipam.objectLists("ranges").forEach(sections::addAll);
    Optional<ConfigObject> runtime = config.runtimeConfig();
    if (runtime.isPresent()) {
      runtime.get().objectLists("ipRanges").forEach(sections::addAll);
    }
    return sections;
  }

  /**
   * Parses the exclusions of sections, which apply to all ranges.
   *
   * @throws CniException code 7 if one is no network and no address
   */
  static AddressExclusions parse(List<ConfigObject> sections) throws CniException {
    List<Cidr> networks = new ArrayList<>();
    for (ConfigObject section : sections) {
      networks.addAll(section.parsedList(KEY, AddressExclusions::parse));
    }
    return new AddressExclusions(union(networks, true), union(networks, false));
  }

  private static Cidr parse(String text) {
    return text.indexOf('/') < 0
        ? Cidr.ofHost(InetAddresses.parse(text))
        : Cidr.parse(text).network();
  }

  private static IntervalSet union(List<Cidr> networks, boolean isV4) {
    return IntervalSet.of(
        networks.stream()
            .filter(it -> it.isV4() == isV4)
            .map(AddressExclusions::interval)
            .toList());
  }

  private static Interval interval(Cidr network) {
    return new Interval(
        InetAddresses.toNumber(network.address()), InetAddresses.toNumber(network.lastAddress()));
  }

  /** Returns the addresses of a family. */
  IntervalSet of(boolean isV4) {
    return isV4 ? v4 : v6;
  }

  boolean contains(InetAddress address) {
    return of(InetAddresses.isV4(address)).contains(InetAddresses.toNumber(address));
  }
}
