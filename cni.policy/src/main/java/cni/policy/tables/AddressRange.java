// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.api.Cidr;
import cni.api.InetAddresses;
import cni.netlink.ffm.nftables.Bytes;
import cni.policy.Peer;
import java.math.BigInteger;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Consecutive addresses of one family.
 *
 * @param bits the length of an address: 32 or 128
 * @param first the lowest address, as a number
 * @param last the highest address, which belongs to the range
 */
record AddressRange(int bits, BigInteger first, BigInteger last) {
  private static final Comparator<AddressRange> BY_FIRST =
      (one, other) -> one.first.compareTo(other.first);

  /** Returns every address of a family. */
  static AddressRange all(boolean isV4) {
    int bits = isV4 ? 32 : 128;
    return new AddressRange(
        bits, BigInteger.ZERO, BigInteger.ONE.shiftLeft(bits).subtract(BigInteger.ONE));
  }

  /** Returns the addresses of a prefix. */
  static AddressRange of(Cidr cidr) {
    InetAddress network = cidr.network().address();
    return new AddressRange(
        InetAddresses.bits(network),
        InetAddresses.toNumber(network),
        InetAddresses.toNumber(cidr.lastAddress()));
  }

  /** Returns the addresses of a block without its exceptions, in ascending order. */
  static List<AddressRange> of(Peer.Block block) {
    List<AddressRange> ranges = List.of(of(block.cidr()));
    for (Cidr except : block.except()) {
      AddressRange hole = of(except);
      ranges = ranges.stream().flatMap(it -> it.without(hole).stream()).toList();
    }
    return ranges;
  }

  private List<AddressRange> without(AddressRange hole) {
    if (hole.bits != bits || hole.first.compareTo(last) > 0 || hole.last.compareTo(first) < 0) {
      return List.of(this);
    }
    List<AddressRange> rest = new ArrayList<>();
    if (first.compareTo(hole.first) < 0) {
      rest.add(new AddressRange(bits, first, hole.first.subtract(BigInteger.ONE)));
    }
    if (last.compareTo(hole.last) > 0) {
      rest.add(new AddressRange(bits, hole.last.add(BigInteger.ONE), last));
    }
    return rest;
  }

  /**
   * Returns the fewest ranges that contain the same addresses of one family, in ascending order.
   */
  static List<AddressRange> union(List<AddressRange> ranges) {
    List<AddressRange> sorted = new ArrayList<>(ranges);
    sorted.sort(BY_FIRST);
    List<AddressRange> union = new ArrayList<>();
    for (AddressRange range : sorted) {
      AddressRange previous = union.isEmpty() ? null : union.getLast();
      if (previous != null && range.first.compareTo(previous.last.add(BigInteger.ONE)) <= 0) {
        union.set(
            union.size() - 1,
            new AddressRange(previous.bits, previous.first, previous.last.max(range.last)));
      } else {
        union.add(range);
      }
    }
    return union;
  }

  boolean isV4() {
    return bits == 32;
  }

  boolean overlaps(AddressRange other) {
    return bits == other.bits
        && first.compareTo(other.last) <= 0
        && other.first.compareTo(last) <= 0;
  }

  Bytes firstBytes() {
    return Bytes.of(InetAddresses.fromNumber(first, bits).getAddress());
  }

  Bytes lastBytes() {
    return Bytes.of(InetAddresses.fromNumber(last, bits).getAddress());
  }
}
