// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.range;

import cni.api.InetAddresses;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * An IP address as an unsigned number of 128 bits, which is cheap to increment and to look up. IPv4
 * addresses are IPv4-mapped (RFC 4291, section 2.5.5.2).
 *
 * @param high the upper 64 bits, unsigned
 * @param low the lower 64 bits, unsigned
 */
public record AddressKey(long high, long low) implements Comparable<AddressKey> {
  private static final long V4_MAPPED = 0xffff_0000_0000L;

  public static AddressKey of(InetAddress address) {
    ByteBuffer bytes = ByteBuffer.wrap(address.getAddress());
    return address instanceof Inet4Address
        ? new AddressKey(0, V4_MAPPED | Integer.toUnsignedLong(bytes.getInt(0)))
        : new AddressKey(bytes.getLong(0), bytes.getLong(8));
  }

  /** Returns the address; IPv4 for an IPv4-mapped number. */
  public InetAddress toAddress() {
    return high == 0 && low >>> 32 == V4_MAPPED >>> 32
        ? InetAddresses.of(ByteBuffer.allocate(4).putInt((int) low).array())
        : InetAddresses.of(ByteBuffer.allocate(16).putLong(high).putLong(low).array());
  }

  /** Returns the following address; zero after the highest one. */
  public AddressKey next() {
    return new AddressKey(low == -1 ? high + 1 : high, low + 1);
  }

  // Written by hand: the first generated equals or hashCode that a process calls costs 17 % of the
  // time of "cni add" (docs/decisions/0005-image-start.md).

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof AddressKey it && high == it.high && low == it.low;
  }

  @Override
  public int hashCode() {
    return Long.hashCode(31 * high + low);
  }

  @Override
  public int compareTo(AddressKey other) {
    int upper = Long.compareUnsigned(high, other.high);
    return upper != 0 ? upper : Long.compareUnsigned(low, other.low);
  }
}
