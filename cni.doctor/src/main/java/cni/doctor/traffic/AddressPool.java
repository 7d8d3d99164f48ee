// SPDX-License-Identifier: Apache-2.0
package cni.doctor.traffic;

import cni.api.CniException;
import cni.api.InetAddresses;
import cni.api.NetworkConfig;
import cni.doctor.HostLocalRanges;
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
  /** Returns which part of the pool is reserved, from 0 to 1. */
  public double fill() {
    return used / Math.max(1, size.doubleValue());
  }

  /**
   * Returns the pools of a network; none if it has no host-local plugin. Ranges that only the
   * capability argument {@code ipRanges} of an ADD names are not known. Ranges that host-local
   * would refuse are left out: "cni validate" explains them.
   */
  static List<AddressPool> of(NetworkConfig config) {
    List<AddressPool> pools = new ArrayList<>();
    Optional<HostLocalRanges> ranges = ranges(config);
    if (ranges.isPresent()) {
      List<InetAddress> reserved = reserved(ranges.get().directory());
      ranges.get().sets().stream()
          .flatMap(List::stream)
          .forEach(range -> pools.add(of(config.name(), range, reserved)));
    }
    return pools;
  }

  private static Optional<HostLocalRanges> ranges(NetworkConfig config) {
    try {
      return HostLocalRanges.of(config);
    } catch (CniException e) {
      return Optional.empty();
    }
  }

  private static AddressPool of(
      String network, HostLocalRanges.Range range, List<InetAddress> reserved) {
    long used = reserved.stream().filter(range::contains).count();
    return new AddressPool(network, range.text(), range.size(), used);
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
}
