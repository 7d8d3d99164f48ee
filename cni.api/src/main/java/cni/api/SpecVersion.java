package cni.api;

import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A version of the CNI specification. Versions that this library does not know can be represented
 * too: a configuration may name one that only a newer runtime understands.
 */
public record SpecVersion(int major, int minor, int patch) implements Comparable<SpecVersion> {
  /** The first version, and the one meant where a configuration names none. */
  public static final SpecVersion V0_1_0 = new SpecVersion(0, 1, 0);

  /** VERSION was added. */
  public static final SpecVersion V0_2_0 = new SpecVersion(0, 2, 0);

  /** Chains and results with interfaces were added. */
  public static final SpecVersion V0_3_0 = new SpecVersion(0, 3, 0);

  /** As 0.3.0, with a typing error mended. */
  public static final SpecVersion V0_3_1 = new SpecVersion(0, 3, 1);

  /** CHECK was added, and prevResult on DEL. */
  public static final SpecVersion V0_4_0 = new SpecVersion(0, 4, 0);

  /** The {@code version} key of addresses was removed. */
  public static final SpecVersion V1_0_0 = new SpecVersion(1, 0, 0);

  /** GC and STATUS were added, and more keys of interfaces and routes. */
  public static final SpecVersion V1_1_0 = new SpecVersion(1, 1, 0);

  /** Every version that this library speaks, oldest first. */
  public static final List<SpecVersion> ALL =
      List.of(V0_1_0, V0_2_0, V0_3_0, V0_3_1, V0_4_0, V1_0_0, V1_1_0);

  /** The newest version that this library speaks. */
  public static final SpecVersion CURRENT = V1_1_0;

  private static final Pattern SYNTAX =
      Pattern.compile("(\\d{1,4})(?:\\.(\\d{1,4})(?:\\.(\\d{1,4}))?)?");

  /**
   * Reads a version such as {@code 1.1.0}. As for the Go library, the empty string means 0.1.0, and
   * numbers that are left out are zero.
   *
   * @throws IllegalArgumentException if it is not one to three numbers separated by dots
   */
  public static SpecVersion parse(String text) {
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

  /** Whether this version is {@code other} or newer. */
  public boolean atLeast(SpecVersion other) {
    return compareTo(other) >= 0;
  }

  /** Whether this library speaks the version. */
  public boolean isKnown() {
    return ALL.contains(this);
  }

  @Override
  public int compareTo(SpecVersion other) {
    int order = Integer.compare(major, other.major);
    if (order == 0) {
      order = Integer.compare(minor, other.minor);
    }
    return order == 0 ? Integer.compare(patch, other.patch) : order;
  }

  // A record's own methods are spun when first used, which takes a process some 10 ms.

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

  /** The form that stands in {@code cniVersion}. */
  @Override
  public String toString() {
    return major + "." + minor + "." + patch;
  }
}
