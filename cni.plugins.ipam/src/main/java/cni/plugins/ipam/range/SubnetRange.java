// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.range;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.InetAddresses;
import cni.api.internal.SpecialAddresses;
import java.math.BigInteger;
import java.net.InetAddress;
import java.util.Optional;

/**
 * The part of a subnet that addresses are allocated from: first to last, both inclusive, without
 * the gateway.
 */
public record SubnetRange(Cidr subnet, InetAddress first, InetAddress last, InetAddress gateway) {
  /** With fewer host bits a subnet has no address besides its own and the gateway's. */
  private static final int MIN_HOST_BITS = 2;

  /**
   * Parses {@code subnet}, {@code rangeStart}, {@code rangeEnd} and {@code gateway}.
   *
   * @throws CniException code 7 if one is invalid or they contradict each other
   */
  public static SubnetRange parse(ConfigObject config) throws CniException {
    Cidr subnet =
        config
            .parsed("subnet", Cidr::parse)
            .orElseThrow(
                () -> config.invalid("subnet", "is missing: give a network, such as 10.1.0.0/16"));
    if (!subnet.equals(subnet.network())) {
      throw config.invalid("subnet", "has bits set after the prefix; use " + subnet.network());
    }
    Optional<SpecialAddresses.Kind> special = SpecialAddresses.refused(subnet);
    if (special.isPresent()) {
      throw config.invalid(
          "subnet", "is part of the " + special.get() + ", which no interface can have");
    }
    int bits = InetAddresses.bits(subnet.address());
    if (subnet.prefix() > bits - MIN_HOST_BITS) {
      throw config.invalid(
          "subnet",
          "is too small to allocate addresses from; its prefix must be at most /"
              + (bits - MIN_HOST_BITS));
    }
    InetAddress firstHost = offset(subnet.address(), 1);
    InetAddress end = subnet.isV4() ? offset(subnet.lastAddress(), -1) : subnet.lastAddress();
    InetAddress first = parseInSubnet(config, subnet, "rangeStart").orElse(firstHost);
    InetAddress last = parseInSubnet(config, subnet, "rangeEnd").orElse(end);
    InetAddress gateway = config.parsed("gateway", InetAddresses::parse).orElse(firstHost);
    if (InetAddresses.toNumber(first).compareTo(InetAddresses.toNumber(last)) > 0) {
      throw config.invalid("rangeStart", "is after the range's end, " + InetAddresses.format(last));
    }
    if (InetAddresses.isV4(gateway) != subnet.isV4()) {
      throw config.invalid("gateway", "is of another family than the subnet " + subnet);
    }
    return new SubnetRange(subnet, first, last, gateway);
  }

  private static Optional<InetAddress> parseInSubnet(ConfigObject config, Cidr subnet, String key)
      throws CniException {
    Optional<InetAddress> address = config.parsed(key, InetAddresses::parse);
    if (address.isPresent() && !subnet.contains(address.get())) {
      throw config.invalid(key, "is not in the subnet " + subnet);
    }
    return address;
  }

  private static InetAddress offset(InetAddress address, int by) {
    return InetAddresses.fromNumber(
        InetAddresses.toNumber(address).add(BigInteger.valueOf(by)), InetAddresses.bits(address));
  }

  public boolean isV4() {
    return subnet.isV4();
  }

  /** Whether the address lies between first and last, which may be true of the gateway. */
  public boolean contains(InetAddress address) {
    AddressKey key = AddressKey.of(address);
    return InetAddresses.isV4(address) == isV4()
        && key.compareTo(AddressKey.of(first)) >= 0
        && key.compareTo(AddressKey.of(last)) <= 0;
  }

  public boolean overlaps(SubnetRange other) {
    return contains(other.first) || contains(other.last) || other.contains(first);
  }

  /** Returns the number of addresses that can be allocated. */
  public BigInteger size() {
    BigInteger all =
        InetAddresses.toNumber(last).subtract(InetAddresses.toNumber(first)).add(BigInteger.ONE);
    return contains(gateway) ? all.subtract(BigInteger.ONE) : all;
  }

  @Override
  public String toString() {
    return InetAddresses.format(first) + "-" + InetAddresses.format(last);
  }
}
