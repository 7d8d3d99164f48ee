// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import java.util.Comparator;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * An element of a {@link NamedSet}.
 *
 * @param first the key, or the lowest one of a range: the values of the fields one after the other,
 *     without padding
 * @param last the highest key of a range, which belongs to it; otherwise equal to the first
 * @param verdict the verdict of an element of a map; empty for a set
 */
public record SetElement(Bytes first, Bytes last, Optional<Expression.Verdict> verdict) {
  /** By the lowest key. */
  static final Comparator<SetElement> ORDER =
      (one, other) -> one.first.compareUnsigned(other.first);

  /** Returns an element of a set with a single key. */
  public static SetElement of(Bytes key) {
    return new SetElement(key, key, Optional.empty());
  }

  /** Returns an element of a verdict map with a single key. */
  public static SetElement of(Bytes key, Expression.Verdict verdict) {
    return new SetElement(key, key, Optional.of(verdict));
  }

  /** Returns an element of a set that is a range of each field. */
  public static SetElement range(Bytes first, Bytes last) {
    return new SetElement(first, last, Optional.empty());
  }

  /** Returns whether it is a single key. */
  public boolean isSingle() {
    return first.equals(last);
  }

  // Written by hand, see Table.

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof SetElement element
        && first.equals(element.first)
        && last.equals(element.last)
        && code() == element.code()
        && chain().equals(element.chain());
  }

  @Override
  public int hashCode() {
    int keys = isSingle() ? first.hashCode() : 31 * first.hashCode() + last.hashCode();
    return 31 * keys + chain().hashCode();
  }

  /** Returns the code of the verdict; without a verdict a number that no verdict has. */
  private int code() {
    return verdict.isPresent() ? verdict.get().code() : Integer.MAX_VALUE;
  }

  private String chain() {
    return verdict.isPresent() ? verdict.get().chain() : "";
  }
}
