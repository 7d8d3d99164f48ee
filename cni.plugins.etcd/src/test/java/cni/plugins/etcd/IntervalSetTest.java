// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import cni.plugins.etcd.IntervalSet.Interval;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class IntervalSetTest {
  private static final int MAX = 64;

  private static Interval interval(int first, int last) {
    return new Interval(BigInteger.valueOf(first), BigInteger.valueOf(last));
  }

  @Test
  void intervalsThatOverlapOrTouchAreMerged() {
    IntervalSet set =
        IntervalSet.of(List.of(interval(8, 9), interval(0, 5), interval(2, 3), interval(6, 6)));
    assertEquals(List.of(interval(0, 6), interval(8, 9)), set.intervals());
    assertEquals(BigInteger.valueOf(9), set.size());
    assertEquals(BigInteger.valueOf(8), set.get(BigInteger.valueOf(7)));
    assertThrows(IndexOutOfBoundsException.class, () -> set.get(BigInteger.valueOf(9)));
    assertThrows(IndexOutOfBoundsException.class, () -> set.get(BigInteger.valueOf(-1)));
    assertEquals(BigInteger.ZERO, IntervalSet.of(List.of()).size());
  }

  @Test
  void operationsAreThoseOfSets() {
    for (int seed = 0; seed < 500; seed++) {
      var random = new Random(seed);
      BitSet one = new BitSet();
      BitSet other = new BitSet();
      IntervalSet first = randomSet(random, one);
      IntervalSet second = randomSet(random, other);
      requireEqual(one, first);
      one.andNot(other);
      requireEqual(one, first.without(second));
      int from = random.nextInt(MAX);
      int to = from + random.nextInt(MAX);
      other.clear(0, from);
      other.clear(to + 1, 2 * MAX + 1);
      requireEqual(other, IntervalSet.of(second.within(interval(from, to))));
    }
  }

  /** Returns a set, whose numbers are added to a set of bits. */
  private static IntervalSet randomSet(Random random, BitSet bits) {
    List<Interval> intervals = new ArrayList<>();
    for (int i = random.nextInt(8); i > 0; i--) {
      int first = random.nextInt(MAX);
      int last = Math.min(MAX, first + random.nextInt(8));
      intervals.add(interval(first, last));
      bits.set(first, last + 1);
    }
    return IntervalSet.of(intervals);
  }

  private static void requireEqual(BitSet expected, IntervalSet actual) {
    assertEquals(BigInteger.valueOf(expected.cardinality()), actual.size());
    int index = 0;
    for (int i = 0; i < 2 * MAX; i++) {
      BigInteger number = BigInteger.valueOf(i);
      assertEquals(expected.get(i), actual.contains(number));
      if (expected.get(i)) {
        assertEquals(number, actual.get(BigInteger.valueOf(index++)));
      }
    }
  }
}
