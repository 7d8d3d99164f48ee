// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A named set or map of a table, which rules look up. Its elements change without a change of
 * rules.
 *
 * @param name its name, unique among the sets and maps of the table
 * @param key the types of the fields of a key, which are concatenated
 * @param isInterval whether an element may be a range of each field (NFT_SET_INTERVAL)
 * @param isVerdictMap whether each element has a verdict (NFT_SET_MAP)
 * @param hasCounters whether each element counts the packets that match it
 * @param hasTimeouts whether elements may expire (NFT_SET_TIMEOUT)
 */
public record NamedSet(
    String name,
    List<AnonymousSet.Type> key,
    boolean isInterval,
    boolean isVerdictMap,
    boolean hasCounters,
    boolean hasTimeouts) {
  /** Copies the list. */
  public NamedSet {
    key = List.copyOf(key);
  }

  /** Returns a set of single values. */
  public static NamedSet of(String name, AnonymousSet.Type... key) {
    return new NamedSet(name, List.of(key), false, false, false, false);
  }

  /** Returns a map of single values to verdicts. */
  public static NamedSet verdictMap(String name, AnonymousSet.Type... key) {
    return new NamedSet(name, List.of(key), false, true, false, false);
  }

  /** Returns this set with ranges. */
  public NamedSet withIntervals() {
    return new NamedSet(name, key, true, isVerdictMap, hasCounters, hasTimeouts);
  }

  /** Returns this set with a counter for each element. */
  public NamedSet withCounters() {
    return new NamedSet(name, key, isInterval, isVerdictMap, true, hasTimeouts);
  }

  /** Returns this set with elements that may expire. */
  public NamedSet withTimeouts() {
    return new NamedSet(name, key, isInterval, isVerdictMap, hasCounters, true);
  }

  /** Returns whether keys are concatenations of several fields. */
  boolean isConcatenation() {
    return key.size() > 1;
  }

  /** Returns the length of a key in the kernel, where each field is padded to four bytes. */
  int paddedLength() {
    if (!isConcatenation()) {
      return key.getFirst().length();
    }
    int words = 0;
    for (AnonymousSet.Type field : key) {
      words += field.words();
    }
    return Integer.BYTES * words;
  }

  /** Returns the length of a key without padding. */
  int length() {
    int length = 0;
    for (AnonymousSet.Type field : key) {
      length += field.length();
    }
    return length;
  }

  // Written by hand, see Table.

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof NamedSet set
        && name.equals(set.name)
        && flags() == set.flags()
        && numbers().equals(set.numbers());
  }

  @Override
  public int hashCode() {
    return 31 * name.hashCode() + flags();
  }

  private int flags() {
    return (isInterval ? 1 : 0)
        | (isVerdictMap ? 2 : 0)
        | (hasCounters ? 4 : 0)
        | (hasTimeouts ? 8 : 0);
  }

  private List<Integer> numbers() {
    return key.stream().map(AnonymousSet.Type::number).toList();
  }
}
