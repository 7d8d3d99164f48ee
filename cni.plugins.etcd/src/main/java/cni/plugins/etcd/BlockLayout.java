// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.InetAddresses;
import cni.plugins.etcd.IntervalSet.Interval;
import cni.plugins.ipam.range.RangeSet;
import cni.plugins.ipam.range.SubnetRange;
import java.math.BigInteger;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;

/** The blocks of a range set: those that contain an address of it that may be assigned. */
final class BlockLayout {
  /**
   * The number of blocks that the search begins in: of an IPv6 subnet the low ones, whose addresses
   * are short.
   */
  private static final long FIRST_BLOCKS = 4096;

  private final boolean isV4;

  /** The length of addresses. */
  private final int bits;

  private final int prefix;

  /** The addresses that may be assigned: those of the ranges without gateways and exclusions. */
  private final IntervalSet usable;

  /** The numbers of the blocks: the addresses of the blocks without their host bits. */
  private final IntervalSet blocks;

  /**
   * Creates the layout.
   *
   * @param prefix the prefix length of the blocks
   * @param exclusions addresses that are never assigned
   */
  BlockLayout(RangeSet set, int prefix, AddressExclusions exclusions) {
    isV4 = set.isV4();
    bits = InetAddresses.bits(set.ranges().getFirst().first());
    this.prefix = prefix;
    usable = ranges(set).without(exclusions.of(isV4)).without(gateways(set));
    List<Interval> numbers = new ArrayList<>();
    for (Interval it : usable.intervals()) {
      numbers.add(
          new Interval(it.first().shiftRight(bits - prefix), it.last().shiftRight(bits - prefix)));
    }
    blocks = IntervalSet.of(numbers);
  }

  private static IntervalSet ranges(RangeSet set) {
    List<Interval> ranges = new ArrayList<>();
    for (SubnetRange it : set.ranges()) {
      ranges.add(
          new Interval(InetAddresses.toNumber(it.first()), InetAddresses.toNumber(it.last())));
    }
    return IntervalSet.of(ranges);
  }

  /** A gateway is only excluded from its own range. */
  private static IntervalSet gateways(RangeSet set) {
    List<Interval> gateways = new ArrayList<>();
    for (SubnetRange it : set.ranges()) {
      if (it.contains(it.gateway())) {
        BigInteger gateway = InetAddresses.toNumber(it.gateway());
        gateways.add(new Interval(gateway, gateway));
      }
    }
    return IntervalSet.of(gateways);
  }

  /** Returns the addresses of a block that may be assigned: bit i for the i-th address. */
  BigInteger usable(BlockId block) {
    BigInteger offsets = BigInteger.ZERO;
    if (block.network().isV4() == isV4) {
      BigInteger first = InetAddresses.toNumber(block.network().address());
      BigInteger last = InetAddresses.toNumber(block.network().lastAddress());
      for (Interval it : usable.within(new Interval(first, last))) {
        BigInteger ones =
            BigInteger.ONE.shiftLeft(it.size().intValueExact()).subtract(BigInteger.ONE);
        offsets = offsets.or(ones.shiftLeft(it.first().subtract(first).intValueExact()));
      }
    }
    return offsets;
  }

  /** Returns whether an address may be assigned. */
  boolean isUsable(InetAddress address) {
    return InetAddresses.isV4(address) == isV4 && usable.contains(InetAddresses.toNumber(address));
  }

  /**
   * Returns a block that may be claimed: the first one, from a random one on, that fulfils a
   * condition. The random one is among the first blocks, at most half of which are claimed: nodes
   * that search at the same time would otherwise find the same block.
   *
   * @param claimed the number of blocks that are known to be claimed
   * @param condition whether the block is free
   * @return absent if no block is
   */
  Optional<BlockId> find(RandomGenerator random, int claimed, Predicate<BlockId> condition) {
    BigInteger total = blocks.size();
    if (total.signum() == 0) {
      return Optional.empty();
    }
    BigInteger window = BigInteger.valueOf(Math.max(FIRST_BLOCKS, 2L * claimed)).min(total);
    BigInteger start = BigInteger.valueOf(random.nextLong(window.longValueExact()));
    for (BigInteger i = BigInteger.ZERO; i.compareTo(total) < 0; i = i.add(BigInteger.ONE)) {
      BlockId block = block(blocks.get(start.add(i).mod(total)));
      if (condition.test(block)) {
        return Optional.of(block);
      }
    }
    return Optional.empty();
  }

  private BlockId block(BigInteger number) {
    return BlockId.of(InetAddresses.fromNumber(number.shiftLeft(bits - prefix), bits), prefix);
  }

  /** Returns the number of addresses that may be assigned. */
  BigInteger capacity() {
    return usable.size();
  }
}
