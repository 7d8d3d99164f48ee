// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.InetAddresses;
import cni.plugins.etcd.AddressExclusions.Interval;
import cni.plugins.ipam.range.RangeSet;
import cni.plugins.ipam.range.SubnetRange;
import java.math.BigInteger;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;

/**
 * The blocks of a range set: those that contain addresses of its ranges.
 *
 * @param set the range set
 * @param prefix the prefix length of its blocks
 * @param exclusions addresses that are never assigned
 */
record BlockLayout(RangeSet set, int prefix, AddressExclusions exclusions) {
  /**
   * The number of blocks that the search begins in: of an IPv6 subnet the low ones, whose addresses
   * are short.
   */
  private static final BigInteger FIRST_BLOCKS = BigInteger.valueOf(4096);

  /** The blocks of one range: consecutive numbers, the block's address without its host bits. */
  private record Span(BigInteger first, BigInteger count) {}

  /** Returns the block of an address. */
  BlockId blockOf(InetAddress address) {
    return BlockId.of(address, prefix);
  }

  /** Returns the addresses of a block that may be assigned: bit i for the i-th address. */
  BigInteger usable(BlockId block) {
    BigInteger usable = BigInteger.ZERO;
    if (block.network().isV4() == set.isV4()) {
      for (int i = 0; i < block.size(); i++) {
        if (isUsable(block.addressAt(i))) {
          usable = usable.setBit(i);
        }
      }
    }
    return usable;
  }

  /** Returns whether an address may be assigned. */
  boolean isUsable(InetAddress address) {
    Optional<SubnetRange> range = set.rangeOf(address);
    return range.isPresent()
        && !range.get().gateway().equals(address)
        && !exclusions.contains(address);
  }

  /**
   * Returns a block that may be claimed: the first one, from a random one on, that fulfils a
   * condition and has an address that may be assigned.
   *
   * @param condition whether the block is free
   * @return absent if no block is
   */
  Optional<BlockId> find(RandomGenerator random, Predicate<BlockId> condition) {
    List<Span> spans = spans();
    BigInteger total = spans.stream().map(Span::count).reduce(BigInteger.ZERO, BigInteger::add);
    if (total.signum() == 0) {
      return Optional.empty();
    }
    BigInteger start = BigInteger.valueOf(random.nextLong(total.min(FIRST_BLOCKS).longValue()));
    for (BigInteger i = BigInteger.ZERO; i.compareTo(total) < 0; i = i.add(BigInteger.ONE)) {
      BlockId block = block(spans, start.add(i).mod(total));
      if (condition.test(block) && usable(block).signum() != 0) {
        return Optional.of(block);
      }
    }
    return Optional.empty();
  }

  /** Returns the blocks with an address that is not excluded; borders may be in two spans. */
  private List<Span> spans() {
    List<Span> spans = new ArrayList<>();
    for (SubnetRange range : set.ranges()) {
      for (Interval it : exclusions.subtractFrom(Interval.of(range.first(), range.last()))) {
        BigInteger first = it.first().shiftRight(hostBits());
        BigInteger last = it.last().shiftRight(hostBits());
        spans.add(new Span(first, last.subtract(first).add(BigInteger.ONE)));
      }
    }
    return spans;
  }

  /** Returns the number of addresses that may be assigned. */
  BigInteger capacity() {
    BigInteger capacity = BigInteger.ZERO;
    for (SubnetRange range : set.ranges()) {
      for (Interval it : exclusions.subtractFrom(Interval.of(range.first(), range.last()))) {
        capacity = capacity.add(it.size());
      }
      if (range.contains(range.gateway()) && !exclusions.contains(range.gateway())) {
        capacity = capacity.subtract(BigInteger.ONE);
      }
    }
    return capacity;
  }

  private int bits() {
    return InetAddresses.bits(set.ranges().getFirst().first());
  }

  private int hostBits() {
    return bits() - prefix;
  }

  private BlockId block(List<Span> spans, BigInteger index) {
    BigInteger left = index;
    for (Span span : spans) {
      if (left.compareTo(span.count()) < 0) {
        BigInteger address = span.first().add(left).shiftLeft(hostBits());
        return BlockId.of(InetAddresses.fromNumber(address, bits()), prefix);
      }
      left = left.subtract(span.count());
    }
    throw new IllegalArgumentException("no block " + index);
  }
}
