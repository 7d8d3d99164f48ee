// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * An immutable set of natural numbers, such as addresses of one family, kept as intervals that
 * neither overlap nor touch. Lookups take logarithmic time in the number of intervals.
 */
final class IntervalSet {
  private final NavigableMap<BigInteger, Interval> byFirst = new TreeMap<>();

  /** The intervals by the index of their first number in the set. */
  private final NavigableMap<BigInteger, Interval> byIndex = new TreeMap<>();

  private final BigInteger size;

  /** Consecutive numbers; {@code first} and {@code last} are part of the interval. */
  record Interval(BigInteger first, BigInteger last) {
    BigInteger size() {
      return last.subtract(first).add(BigInteger.ONE);
    }
  }

  /** Creates a set of intervals that are sorted and neither overlap nor touch. */
  private IntervalSet(List<Interval> intervals) {
    BigInteger index = BigInteger.ZERO;
    for (Interval it : intervals) {
      byFirst.put(it.first(), it);
      byIndex.put(index, it);
      index = index.add(it.size());
    }
    size = index;
  }

  /** Returns the union of intervals, which may overlap, in any order. */
  static IntervalSet of(Collection<Interval> intervals) {
    List<Interval> sorted = new ArrayList<>(intervals);
    sorted.sort(Comparator.comparing(Interval::first));
    List<Interval> merged = new ArrayList<>();
    for (Interval it : sorted) {
      if (!merged.isEmpty()
          && it.first().compareTo(merged.getLast().last().add(BigInteger.ONE)) <= 0) {
        Interval before = merged.removeLast();
        merged.add(new Interval(before.first(), before.last().max(it.last())));
      } else {
        merged.add(it);
      }
    }
    return new IntervalSet(merged);
  }

  /** Returns the number of numbers. */
  BigInteger size() {
    return size;
  }

  /** Returns the intervals in ascending order. */
  List<Interval> intervals() {
    return List.copyOf(byFirst.values());
  }

  boolean contains(BigInteger number) {
    Map.Entry<BigInteger, Interval> before = byFirst.floorEntry(number);
    return before != null && number.compareTo(before.getValue().last()) <= 0;
  }

  /**
   * Returns a number by its position in ascending order.
   *
   * @param index from 0 to {@link #size} - 1
   */
  BigInteger get(BigInteger index) {
    Map.Entry<BigInteger, Interval> before = byIndex.floorEntry(index);
    if (before == null || index.compareTo(size) >= 0) {
      throw new IndexOutOfBoundsException(index + " of " + size);
    }
    return before.getValue().first().add(index.subtract(before.getKey()));
  }

  /** Returns the parts of this set that are in an interval, in ascending order. */
  List<Interval> within(Interval interval) {
    BigInteger before = byFirst.floorKey(interval.first());
    BigInteger start = before == null ? interval.first() : before;
    List<Interval> parts = new ArrayList<>();
    for (Interval it : byFirst.subMap(start, true, interval.last(), true).values()) {
      BigInteger first = it.first().max(interval.first());
      BigInteger last = it.last().min(interval.last());
      if (first.compareTo(last) <= 0) {
        parts.add(new Interval(first, last));
      }
    }
    return parts;
  }

  /** Returns the numbers of this set that are not in another one. */
  IntervalSet without(IntervalSet other) {
    List<Interval> rest = new ArrayList<>();
    for (Interval it : byFirst.values()) {
      BigInteger next = it.first();
      for (Interval gap : other.within(it)) {
        if (next.compareTo(gap.first()) < 0) {
          rest.add(new Interval(next, gap.first().subtract(BigInteger.ONE)));
        }
        next = gap.last().add(BigInteger.ONE);
      }
      if (next.compareTo(it.last()) <= 0) {
        rest.add(new Interval(next, it.last()));
      }
    }
    return new IntervalSet(rest);
  }
}
