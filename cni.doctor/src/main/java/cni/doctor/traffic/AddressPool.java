package cni.doctor.traffic;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.InetAddresses;
import cni.api.NetworkConfig;
import cni.api.PluginConfig;
import java.io.IOException;
import java.math.BigInteger;
import java.net.InetAddress;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A range of addresses that host-local allocates from, and how much of it is reserved. A pool that
 * is full refuses the next ADD with code 11.
 *
 * @param network the network's name
 * @param range the first and the last address, such as {@code 10.1.0.2-10.1.0.254}
 * @param size the number of addresses that can be allocated
 * @param used the number of addresses that are reserved
 */
public record AddressPool(String network, String range, BigInteger size, long used) {
  private static final String HOST_LOCAL = "host-local";
  private static final String DEFAULT_DATA_DIR = "/var/lib/cni/networks";

  /** Returns which part of the pool is reserved, from 0 to 1. */
  public double fill() {
    return used / Math.max(1, size.doubleValue());
  }

  /**
   * Returns the pools of a network; none if it has no host-local plugin. Ranges that only the
   * capability argument {@code ipRanges} of an ADD names are not known. A range that host-local
   * would refuse is left out: "cni validate" explains it.
   */
  static List<AddressPool> of(NetworkConfig config) {
    List<AddressPool> pools = new ArrayList<>();
    for (PluginConfig plugin : config.plugins()) {
      try {
        Optional<ConfigObject> ipam = plugin.ipam();
        if (ipam.isPresent() && ipam.get().text("type").equals(Optional.of(HOST_LOCAL))) {
          addAll(config.name(), ipam.get(), pools);
        }
      } catch (CniException e) {
        // No pool that host-local could use.
      }
    }
    return pools;
  }

  private static void addAll(String network, ConfigObject ipam, List<AddressPool> pools)
      throws CniException {
    List<Range> ranges = new ArrayList<>();
    if (ipam.has("subnet")) {
      ranges.add(Range.parse(ipam));
    }
    for (List<ConfigObject> set : ipam.objectLists("ranges")) {
      for (ConfigObject range : set) {
        ranges.add(Range.parse(range));
      }
    }
    String dataDir = ipam.nonEmpty("dataDir").orElse(DEFAULT_DATA_DIR);
    List<InetAddress> reserved = reserved(Path.of(dataDir, network));
    for (Range range : ranges) {
      long used = reserved.stream().filter(range::contains).count();
      pools.add(new AddressPool(network, range.toString(), range.size(), used));
    }
  }

  /** Returns the addresses that have a file in a reservation directory of host-local. */
  private static List<InetAddress> reserved(Path directory) {
    List<InetAddress> reserved = new ArrayList<>();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      for (Path file : files) {
        address(String.valueOf(file.getFileName())).ifPresent(reserved::add);
      }
    } catch (IOException | DirectoryIteratorException e) {
      return reserved; // nothing has been reserved yet
    }
    return reserved;
  }

  private static Optional<InetAddress> address(String name) {
    boolean isNumber =
        !name.isEmpty() && (name.charAt(0) == ':' || Character.digit(name.charAt(0), 16) >= 0);
    if (!isNumber) {
      return Optional.empty(); // such as "lock", "last_reserved_ip.0"
    }
    try {
      return Optional.of(InetAddresses.parse(name));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  /** The addresses from first to last, without the gateway, as host-local allocates them. */
  private record Range(InetAddress first, InetAddress last, InetAddress gateway) {
    static Range parse(ConfigObject config) throws CniException {
      Cidr subnet =
          config
              .parsed("subnet", Cidr::parse)
              .orElseThrow(() -> config.invalid("subnet", "is missing"));
      InetAddress firstHost = offset(subnet.network().address(), 1);
      InetAddress end = subnet.isV4() ? offset(subnet.lastAddress(), -1) : subnet.lastAddress();
      return new Range(
          config.parsed("rangeStart", InetAddresses::parse).orElse(firstHost),
          config.parsed("rangeEnd", InetAddresses::parse).orElse(end),
          config.parsed("gateway", InetAddresses::parse).orElse(firstHost));
    }

    private static InetAddress offset(InetAddress address, int by) {
      BigInteger number = InetAddresses.toNumber(address).add(BigInteger.valueOf(by));
      return InetAddresses.fromNumber(number, InetAddresses.bits(address));
    }

    boolean contains(InetAddress address) {
      BigInteger number = InetAddresses.toNumber(address);
      return InetAddresses.bits(address) == InetAddresses.bits(first)
          && number.compareTo(InetAddresses.toNumber(first)) >= 0
          && number.compareTo(InetAddresses.toNumber(last)) <= 0;
    }

    BigInteger size() {
      BigInteger all =
          InetAddresses.toNumber(last).subtract(InetAddresses.toNumber(first)).add(BigInteger.ONE);
      return contains(gateway) ? all.subtract(BigInteger.ONE) : all;
    }

    @Override
    public String toString() {
      return InetAddresses.format(first) + "-" + InetAddresses.format(last);
    }
  }
}
