// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import java.util.Optional;

/**
 * A hook that a base chain is attached to.
 *
 * @param type the type of the chain: {@code filter}, {@code nat} or {@code route}
 * @param point the point in the packet's path at which the kernel calls the chain, one of the
 *     constants of this type
 * @param priority the order among the chains of that point; lower priorities are called first
 */
public record Hook(String type, int point, int priority) {
  // enum nf_inet_hooks of linux/netfilter.h; those of a bridge have the same numbers
  public static final int PREROUTING = 0;
  public static final int INPUT = 1;
  public static final int FORWARD = 2;
  public static final int OUTPUT = 3;
  public static final int POSTROUTING = 4;

  /** Translation of destination addresses ({@code dstnat}). */
  public static final Hook DESTINATION_NAT = new Hook("nat", PREROUTING, -100);

  /** Translation of the destination addresses of packets that the host itself sends. */
  public static final Hook OUTPUT_NAT = new Hook("nat", OUTPUT, -100);

  /** Translation of source addresses ({@code srcnat}). */
  public static final Hook SOURCE_NAT = new Hook("nat", POSTROUTING, 100);

  /** Filtering of packets that the host forwards ({@code filter}). */
  public static final Hook FILTER_FORWARD = new Hook("filter", FORWARD, 0);

  /** Returns the hook that the nf_tables variant of iptables(8) gives a built-in chain of it. */
  static Optional<Hook> ofBuiltIn(Chain chain) {
    return switch (chain.table().name() + " " + chain.name()) {
      case "filter FORWARD" -> Optional.of(FILTER_FORWARD);
      case "nat PREROUTING" -> Optional.of(DESTINATION_NAT);
      case "nat OUTPUT" -> Optional.of(OUTPUT_NAT);
      case "nat POSTROUTING" -> Optional.of(SOURCE_NAT);
      default -> Optional.empty();
    };
  }
}
