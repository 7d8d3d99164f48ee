// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.InetAddresses;
import cni.api.NetworkConfig;
import cni.api.PluginConfig;
import java.math.BigInteger;
import java.net.InetAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The addresses that host-local gives to a network.
 *
 * @param directory the directory of the network's reservations
 * @param sets the range sets; an attachment gets an address of each
 */
public record HostLocalRanges(Path directory, List<List<Range>> sets) {
  private static final String DEFAULT_DATA_DIR = "/var/lib/cni/networks";

  /** Copies the list. */
  public HostLocalRanges {
    sets = List.copyOf(sets);
  }

  /**
   * A range of addresses.
   *
   * @param subnet the subnet that it is part of
   * @param first the first address
   * @param last the last address
   * @param gateway the address in the range that is never given away
   */
  public record Range(Cidr subnet, BigInteger first, BigInteger last, BigInteger gateway) {
    private static Range parse(ConfigObject config) throws CniException {
      Cidr subnet =
          config
              .parsed("subnet", Cidr::parse)
              .orElseThrow(() -> config.invalid("subnet", "is missing"));
      int bits = InetAddresses.bits(subnet.address());
      if (bits - subnet.prefix() < 2) {
        throw config.invalid("subnet", "has no addresses to give away");
      }
      BigInteger start = InetAddresses.toNumber(subnet.network().address());
      BigInteger end =
          start.add(BigInteger.TWO.pow(bits - subnet.prefix()).subtract(BigInteger.ONE));
      BigInteger firstHost = start.add(BigInteger.ONE);
      return new Range(
          subnet.network(),
          number(config, "rangeStart", bits).orElse(firstHost),
          number(config, "rangeEnd", bits)
              .orElse(subnet.isV4() ? end.subtract(BigInteger.ONE) : end),
          number(config, "gateway", bits).orElse(firstHost));
    }

    private static Optional<BigInteger> number(ConfigObject config, String key, int bits)
        throws CniException {
      Optional<InetAddress> address = config.parsed(key, InetAddresses::parse);
      if (address.isPresent() && InetAddresses.bits(address.get()) != bits) {
        throw config.invalid(key, "must be an address of the subnet's IP version");
      }
      return address.map(InetAddresses::toNumber);
    }

    /** Returns whether an address is in the range, the gateway included. */
    public boolean contains(InetAddress address) {
      BigInteger number = InetAddresses.toNumber(address);
      return InetAddresses.isV4(address) == subnet.isV4()
          && number.compareTo(first) >= 0
          && number.compareTo(last) <= 0;
    }

    /** Returns the addresses that can be given away, in ascending order. */
    public Stream<InetAddress> addresses() {
      int bits = InetAddresses.bits(subnet.address());
      return Stream.iterate(first, it -> it.compareTo(last) <= 0, it -> it.add(BigInteger.ONE))
          .filter(it -> !it.equals(gateway))
          .map(it -> InetAddresses.fromNumber(it, bits));
    }

    /** Returns whether both ranges have an address in common. */
    public boolean overlaps(Range other) {
      return subnet.isV4() == other.subnet.isV4()
          && first.compareTo(other.last) <= 0
          && other.first.compareTo(last) <= 0;
    }

    /** Returns the number of addresses that can be given away. */
    public BigInteger size() {
      BigInteger all = last.subtract(first).add(BigInteger.ONE);
      boolean hasGateway = gateway.compareTo(first) >= 0 && gateway.compareTo(last) <= 0;
      return hasGateway ? all.subtract(BigInteger.ONE) : all;
    }

    /** Returns the first and the last address: {@code 10.1.0.2-10.1.0.254}. */
    public String text() {
      return text(first) + "-" + text(last);
    }

    private String text(BigInteger number) {
      int bits = InetAddresses.bits(subnet.address());
      return InetAddresses.format(InetAddresses.fromNumber(number, bits));
    }
  }

  /**
   * Reads a network's configuration; absent if it does not use host-local.
   *
   * @throws CniException code 7 if the configuration is invalid
   */
  public static Optional<HostLocalRanges> of(NetworkConfig config) throws CniException {
    for (PluginConfig plugin : config.plugins()) {
      if (plugin.ipamType().filter("host-local"::equals).isPresent()) {
        return Optional.of(of(config.name(), plugin.requireIpam("host-local")));
      }
    }
    return Optional.empty();
  }

  private static HostLocalRanges of(String network, ConfigObject ipam) throws CniException {
    List<List<Range>> sets = new ArrayList<>();
    if (ipam.has("subnet")) {
      sets.add(List.of(Range.parse(ipam)));
    }
    for (List<ConfigObject> configs : ipam.objectLists("ranges")) {
      List<Range> set = new ArrayList<>();
      for (ConfigObject range : configs) {
        set.add(Range.parse(range));
      }
      sets.add(set);
    }
    Path dataDir = Path.of(ipam.nonEmpty("dataDir").orElse(DEFAULT_DATA_DIR));
    return new HostLocalRanges(dataDir.resolve(network), sets);
  }

  /** Returns the ranges of all sets. */
  public List<Range> all() {
    return sets.stream().flatMap(List::stream).toList();
  }

  /** Returns the subnets of all ranges. */
  public List<Cidr> subnets() {
    return sets.stream().flatMap(List::stream).map(Range::subnet).distinct().toList();
  }
}
