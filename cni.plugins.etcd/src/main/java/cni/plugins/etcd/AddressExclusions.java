// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.InetAddresses;
import cni.api.PluginConfig;
import java.math.BigInteger;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The addresses that are never assigned: {@code exclude}, of the {@code ipam} section and of its
 * ranges.
 *
 * @param networks the networks; a single address is one with the longest prefix
 */
record AddressExclusions(List<Cidr> networks) {
  /** Copies the list. */
  AddressExclusions {
    networks = List.copyOf(networks);
  }

  /**
   * Parses the exclusions.
   *
   * @throws CniException code 7 if one is no network and no address
   */
  static AddressExclusions parse(PluginConfig config, ConfigObject ipam) throws CniException {
    List<ConfigObject> sections = new ArrayList<>(List.of(ipam));
    ipam.objectLists("ranges").forEach(sections::addAll);
    Optional<ConfigObject> runtime = config.runtimeConfig();
    if (runtime.isPresent()) {
      runtime.get().objectLists("ipRanges").forEach(sections::addAll);
    }
    List<Cidr> networks = new ArrayList<>();
    for (ConfigObject section : sections) {
      networks.addAll(section.parsedList("exclude", AddressExclusions::parse));
    }
    return new AddressExclusions(networks);
  }

  private static Cidr parse(String text) {
    return text.indexOf('/') < 0
        ? Cidr.ofHost(InetAddresses.parse(text))
        : Cidr.parse(text).network();
  }

  boolean contains(InetAddress address) {
    return networks.stream().anyMatch(it -> it.contains(address));
  }

  /**
   * Consecutive addresses of one family, as numbers.
   *
   * @param bits the length of the family's addresses
   * @param first the first address
   * @param last the last address
   */
  record Interval(int bits, BigInteger first, BigInteger last) {
    static Interval of(InetAddress first, InetAddress last) {
      return new Interval(
          InetAddresses.bits(first), InetAddresses.toNumber(first), InetAddresses.toNumber(last));
    }

    BigInteger size() {
      return last.subtract(first).add(BigInteger.ONE);
    }

    private boolean overlaps(Interval other) {
      return bits == other.bits
          && first.compareTo(other.last) <= 0
          && other.first.compareTo(last) <= 0;
    }

    /** Adds what is left of this interval without another one. */
    private void addWithout(Interval other, List<Interval> rest) {
      if (!overlaps(other)) {
        rest.add(this);
        return;
      }
      if (first.compareTo(other.first) < 0) {
        rest.add(new Interval(bits, first, other.first.subtract(BigInteger.ONE)));
      }
      if (other.last.compareTo(last) < 0) {
        rest.add(new Interval(bits, other.last.add(BigInteger.ONE), last));
      }
    }
  }

  /** Returns the parts of an interval that are not excluded. */
  List<Interval> subtractFrom(Interval interval) {
    List<Interval> parts = List.of(interval);
    for (Cidr network : networks) {
      Interval excluded = Interval.of(network.address(), network.lastAddress());
      List<Interval> rest = new ArrayList<>();
      parts.forEach(it -> it.addWithout(excluded, rest));
      parts = rest;
    }
    return parts;
  }
}
