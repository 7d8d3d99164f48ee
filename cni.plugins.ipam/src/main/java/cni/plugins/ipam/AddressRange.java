package cni.plugins.ipam;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Ip;
import java.math.BigInteger;
import java.net.InetAddress;
import java.util.Optional;

/**
 * Addresses of a subnet that may be given out: those from first to last, both included, but for the
 * gateway.
 */
record AddressRange(Cidr subnet, InetAddress first, InetAddress last, InetAddress gateway) {
  /** A network needs this many host bits to have an address beside its own and the gateway's. */
  private static final int LEAST_HOST_BITS = 2;

  /**
   * Reads {@code subnet}, {@code rangeStart}, {@code rangeEnd} and {@code gateway}.
   *
   * @throws CniException code 7 if they do not fit together
   */
  static AddressRange parse(ConfigObject config) throws CniException {
    Cidr subnet =
        config
            .parsed("subnet", Cidr::parse)
            .orElseThrow(
                () -> config.invalid("subnet", "is missing: give a network, such as 10.1.0.0/16"));
    if (!subnet.equals(subnet.network())) {
      throw config.invalid("subnet", "has bits set after the prefix; use " + subnet.network());
    }
    int bits = Ip.bits(subnet.address());
    if (subnet.prefix() > bits - LEAST_HOST_BITS) {
      throw config.invalid(
          "subnet",
          "is too small to give out addresses; its prefix must be at most /"
              + (bits - LEAST_HOST_BITS));
    }
    InetAddress second = offset(subnet.address(), 1);
    InetAddress end = subnet.isV4() ? offset(subnet.last(), -1) : subnet.last();
    InetAddress first = inside(config, subnet, "rangeStart").orElse(second);
    InetAddress last = inside(config, subnet, "rangeEnd").orElse(end);
    InetAddress gateway = config.parsed("gateway", Ip::parse).orElse(second);
    if (Ip.toNumber(first).compareTo(Ip.toNumber(last)) > 0) {
      throw config.invalid("rangeStart", "is after the range's end, " + Ip.format(last));
    }
    if (Ip.isV4(gateway) != subnet.isV4()) {
      throw config.invalid("gateway", "is of another family than the subnet " + subnet);
    }
    return new AddressRange(subnet, first, last, gateway);
  }

  private static Optional<InetAddress> inside(ConfigObject config, Cidr subnet, String key)
      throws CniException {
    Optional<InetAddress> address = config.parsed(key, Ip::parse);
    if (address.isPresent() && !subnet.contains(address.get())) {
      throw config.invalid(key, "is not in the subnet " + subnet);
    }
    return address;
  }

  private static InetAddress offset(InetAddress address, int by) {
    return Ip.fromNumber(Ip.toNumber(address).add(BigInteger.valueOf(by)), Ip.bits(address));
  }

  boolean isV4() {
    return subnet.isV4();
  }

  /** Whether the address lies between first and last; the gateway may. */
  boolean contains(InetAddress address) {
    return subnet.contains(address)
        && Ip.toNumber(address).compareTo(Ip.toNumber(first)) >= 0
        && Ip.toNumber(address).compareTo(Ip.toNumber(last)) <= 0;
  }

  boolean overlaps(AddressRange other) {
    return contains(other.first) || contains(other.last) || other.contains(first);
  }

  /** How many addresses it can give out. */
  BigInteger size() {
    BigInteger all = Ip.toNumber(last).subtract(Ip.toNumber(first)).add(BigInteger.ONE);
    return contains(gateway) ? all.subtract(BigInteger.ONE) : all;
  }

  @Override
  public String toString() {
    return Ip.format(first) + "-" + Ip.format(last);
  }
}
