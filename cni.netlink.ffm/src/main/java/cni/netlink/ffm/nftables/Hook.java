package cni.netlink.ffm.nftables;

/**
 * What makes a chain a base chain: where the kernel calls it.
 *
 * @param type {@code filter}, {@code nat} or {@code route}
 * @param point where in the packet's way, one of the constants here
 * @param priority when among the chains of that point, lower first
 */
public record Hook(String type, int point, int priority) {
  // enum nf_inet_hooks of linux/netfilter.h; those of a bridge have the same numbers
  public static final int PREROUTING = 0;
  public static final int INPUT = 1;
  public static final int FORWARD = 2;
  public static final int OUTPUT = 3;
  public static final int POSTROUTING = 4;

  /** Destination addresses are translated here ({@code dstnat}). */
  public static final Hook DESTINATION_NAT = new Hook("nat", PREROUTING, -100);

  /** Destination addresses of the host's own packets are translated here. */
  public static final Hook OUTPUT_NAT = new Hook("nat", OUTPUT, -100);

  /** Source addresses are translated here ({@code srcnat}). */
  public static final Hook SOURCE_NAT = new Hook("nat", POSTROUTING, 100);

  /** What goes through the host is let pass or not here ({@code filter}). */
  public static final Hook FILTER_FORWARD = new Hook("filter", FORWARD, 0);
}
