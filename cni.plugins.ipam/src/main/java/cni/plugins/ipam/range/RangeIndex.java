// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.range;

import cni.api.InetAddresses;
import java.net.InetAddress;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Ranges that have no address in common, each with a value: finds the range of an address, and one
 * that overlaps a new range, in logarithmic time. A configuration may list 100,000 ranges.
 *
 * @param <T> the type of the values
 */
public final class RangeIndex<T> {
  /** By first address. Not in one map: an IPv6 range may contain the IPv4-mapped addresses. */
  private final NavigableMap<AddressKey, Entry<T>> v4 = new TreeMap<>();

  private final NavigableMap<AddressKey, Entry<T>> v6 = new TreeMap<>();

  private record Entry<T>(SubnetRange range, T value) {}

  /**
   * Adds a range, unless it overlaps another.
   *
   * @return a range that it overlaps; absent if it was added
   */
  public Optional<SubnetRange> add(SubnetRange range, T value) {
    NavigableMap<AddressKey, Entry<T>> ranges = range.isV4() ? v4 : v6;
    Map.Entry<AddressKey, Entry<T>> before = ranges.floorEntry(AddressKey.of(range.last()));
    if (before != null && before.getValue().range().overlaps(range)) {
      return Optional.of(before.getValue().range());
    }
    ranges.put(AddressKey.of(range.first()), new Entry<>(range, value));
    return Optional.empty();
  }

  /** Returns the value of the range that contains an address; absent if none does. */
  public Optional<T> find(InetAddress address) {
    NavigableMap<AddressKey, Entry<T>> ranges = InetAddresses.isV4(address) ? v4 : v6;
    Map.Entry<AddressKey, Entry<T>> before = ranges.floorEntry(AddressKey.of(address));
    return before != null && before.getValue().range().contains(address)
        ? Optional.of(before.getValue().value())
        : Optional.empty();
  }
}
