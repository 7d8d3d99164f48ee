// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import cni.api.Cidr;
import java.util.List;
import java.util.Optional;

/** Addresses that a container cannot use to communicate with others (RFC 6890). */
public final class SpecialAddresses {
  /** What the kernel refuses or, like 0.0.0.0, ignores as an interface's address. */
  private static final List<Kind> REFUSED =
      List.of(
          kind("0.0.0.0/32", "unspecified addresses"),
          kind("::/128", "unspecified addresses"),
          kind("::1/128", "loopback addresses"),
          kind("ff00::/8", "multicast addresses"));

  /** What the kernel drops packets from or to. */
  private static final List<Kind> UNUSABLE =
      List.of(
          kind("0.0.0.0/8", "unspecified addresses"),
          kind("127.0.0.0/8", "loopback addresses"),
          kind("224.0.0.0/4", "multicast addresses"),
          kind("240.0.0.0/4", "reserved addresses"),
          kind("::/127", "unspecified and loopback addresses"),
          kind("ff00::/8", "multicast addresses"));

  /** What no router forwards. */
  private static final List<Kind> LINK_LOCAL =
      List.of(
          kind("169.254.0.0/16", "link-local addresses"),
          kind("fe80::/10", "link-local addresses"));

  private SpecialAddresses() {}

  /**
   * A block of addresses.
   *
   * @param network the block
   * @param name what they are, in the plural
   */
  public record Kind(Cidr network, String name) {
    /** Returns the name with the block: {@code loopback addresses 127.0.0.0/8}. */
    @Override
    public String toString() {
      return name + " " + network;
    }
  }

  private static Kind kind(String network, String name) {
    return new Kind(Cidr.parse(network), name);
  }

  /** Returns the block of addresses that no interface can have which contains a whole network. */
  public static Optional<Kind> refused(Cidr network) {
    return REFUSED.stream()
        .filter(
            it ->
                it.network().contains(network.address())
                    && it.network().prefix() <= network.prefix())
        .findFirst();
  }

  /** Returns the block that no container can use which overlaps a network. */
  public static Optional<Kind> unusable(Cidr network) {
    return overlapping(UNUSABLE, network);
  }

  /** Returns the block of link-local addresses that overlaps a network. */
  public static Optional<Kind> linkLocal(Cidr network) {
    return overlapping(LINK_LOCAL, network);
  }

  private static Optional<Kind> overlapping(List<Kind> kinds, Cidr network) {
    return kinds.stream()
        .filter(
            it ->
                it.network().contains(network.address())
                    || network.contains(it.network().address()))
        .findFirst();
  }
}
