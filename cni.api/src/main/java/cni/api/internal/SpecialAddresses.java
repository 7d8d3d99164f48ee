package cni.api.internal;

import cni.api.Cidr;
import java.util.List;
import java.util.Optional;

/** Addresses that a container cannot use to communicate with others (RFC 6890). */
public final class SpecialAddresses {
  private static final List<Kind> KINDS =
      List.of(
          kind("0.0.0.0/8", "unspecified addresses", true),
          kind("127.0.0.0/8", "loopback addresses", false),
          kind("224.0.0.0/4", "multicast addresses", false),
          kind("240.0.0.0/4", "reserved addresses", false),
          kind("::/128", "unspecified addresses", true),
          kind("::1/128", "loopback addresses", true),
          kind("ff00::/8", "multicast addresses", true));

  private static final List<Kind> LINK_LOCAL =
      List.of(
          kind("169.254.0.0/16", "link-local addresses", false),
          kind("fe80::/10", "link-local addresses", false));

  private SpecialAddresses() {}

  /**
   * A block of addresses.
   *
   * @param network the block
   * @param name what they are, in the plural
   * @param isRefused whether the kernel refuses or ignores them as an interface's address; it
   *     accepts the others, and drops packets from or to them
   */
  public record Kind(Cidr network, String name, boolean isRefused) {
    /** Returns a predicate for messages: {@code is of the loopback addresses 127.0.0.0/8}. */
    @Override
    public String toString() {
      return "is of the " + name + " " + network;
    }
  }

  private static Kind kind(String network, String name, boolean isRefused) {
    return new Kind(Cidr.parse(network), name, isRefused);
  }

  /** Returns the block that a network has a part of; absent if there is none. */
  public static Optional<Kind> of(Cidr network) {
    return find(KINDS, network);
  }

  /** As {@link #of}, or the block of link-local addresses, which no router forwards. */
  public static Optional<Kind> ofUnroutable(Cidr network) {
    return of(network).or(() -> find(LINK_LOCAL, network));
  }

  private static Optional<Kind> find(List<Kind> kinds, Cidr network) {
    return kinds.stream()
        .filter(
            it ->
                it.network().contains(network.address())
                    || network.contains(it.network().address()))
        .findFirst();
  }
}
