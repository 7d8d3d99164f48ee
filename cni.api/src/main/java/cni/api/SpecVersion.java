// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import cni.api.internal.NullChecks;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A version of the CNI specification. Versions that this library does not support can be
 * represented too, since a configuration may name a newer one.
 *
 * @param major the major version
 * @param minor the minor version
 * @param patch the patch version
 */
public record SpecVersion(int major, int minor, int patch) implements Comparable<SpecVersion> {
  /** The first version, and the default of a configuration without {@code cniVersion}. */
  public static final SpecVersion V0_1_0 = new SpecVersion(0, 1, 0);

  /** Added VERSION. */
  public static final SpecVersion V0_2_0 = new SpecVersion(0, 2, 0);

  /** Added chains, and interfaces in results. */
  public static final SpecVersion V0_3_0 = new SpecVersion(0, 3, 0);

  /** Corrected a typing error of 0.3.0. */
  public static final SpecVersion V0_3_1 = new SpecVersion(0, 3, 1);

  /** Added CHECK, and prevResult on DEL. */
  public static final SpecVersion V0_4_0 = new SpecVersion(0, 4, 0);

  /** Removed the {@code version} key of addresses. */
  public static final SpecVersion V1_0_0 = new SpecVersion(1, 0, 0);

  /** Added GC, STATUS, and more keys of interfaces and routes. */
  public static final SpecVersion V1_1_0 = new SpecVersion(1, 1, 0);

  /** The versions that this library supports, oldest first. */
  public static final List<SpecVersion> ALL =
      List.of(V0_1_0, V0_2_0, V0_3_0, V0_3_1, V0_4_0, V1_0_0, V1_1_0);

  /** The newest version that this library supports. */
  public static final SpecVersion CURRENT = V1_1_0;

  private static final Pattern SYNTAX =
      Pattern.compile("(\\d{1,4})(?:\\.(\\d{1,4})(?:\\.(\\d{1,4}))?)?");

  /**
   * Parses a version such as {@code 1.1.0}. As for the Go library, the empty string means 0.1.0,
   * and omitted numbers are zero.
   *
   * @throws IllegalArgumentException if the text is not one to three numbers separated by dots; the
   *     message continues a sentence that begins with the text
   */
  public static SpecVersion parse(String text) {
    requireNonNull(text, "text");
    if (text.isEmpty()) {
      return V0_1_0;
    }
    var parts = SYNTAX.matcher(text);
    if (!parts.matches()) {
      throw new IllegalArgumentException("is not a version like 1.1.0");
    }
    return new SpecVersion(number(parts.group(1)), number(parts.group(2)), number(parts.group(3)));
  }

  private static int number(@Nullable String text) {
    return text == null ? 0 : Integer.parseInt(text);
  }

  /** Returns the versions separated by commas, for messages. */
  public static String join(Collection<SpecVersion> versions) {
    NullChecks.requireElements(versions, "versions");
    return versions.stream().map(SpecVersion::toString).collect(Collectors.joining(", "));
  }

  /** Returns whether this version is {@code other} or newer. */
  public boolean atLeast(SpecVersion other) {
    return compareTo(other) >= 0;
  }

  /** Returns the versions that this library supports, from the given one on. */
  public static Set<SpecVersion> since(SpecVersion oldest) {
    requireNonNull(oldest, "oldest");
    return ALL.stream()
        .filter(version -> version.atLeast(oldest))
        .collect(Collectors.toUnmodifiableSet());
  }

  /** Returns whether this library supports the version. */
  public boolean isKnown() {
    return ALL.contains(this);
  }

  @Override
  public int compareTo(SpecVersion other) {
    requireNonNull(other, "other");
    int order = Integer.compare(major, other.major);
    if (order == 0) {
      order = Integer.compare(minor, other.minor);
    }
    return order == 0 ? Integer.compare(patch, other.patch) : order;
  }

  // Written by hand: the first generated equals or hashCode that a process calls costs 17 % of the
  // time of "cni add" (docs/decisions/0005-image-start.md).

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof SpecVersion it
        && major == it.major
        && minor == it.minor
        && patch == it.patch;
  }

  @Override
  public int hashCode() {
    return (major * 31 + minor) * 31 + patch;
  }

  /** Returns the form used in {@code cniVersion}, such as {@code 1.1.0}. */
  @Override
  public String toString() {
    return major + "." + minor + "." + patch;
  }
}
