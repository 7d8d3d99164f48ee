// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.CallContext;
import cni.netlink.ffm.route.Link;
import java.util.Optional;

/**
 * Comparison of the MTUs of the ends of a veth that a plugin has created with one MTU. If they
 * differ, the end with the smaller one drops the larger packets of the other (is_skb_forwardable in
 * net/core/dev.c).
 *
 * @param current the configured MTU before in bytes; 0 for the kernel's default
 * @param desired the configured MTU now in bytes; 0 for the kernel's default
 * @param isShared whether a later plugin of the chain may set the MTU of the container's end
 */
public record VethMtuComparison(int current, int desired, boolean isShared) {
  /** Creates a comparison for the key {@code mtu}. */
  public static VethMtuComparison of(int current, int desired, CallContext context) {
    return new VethMtuComparison(current, desired, context.mayBeSetLater("mtu"));
  }

  /** Compares the MTU of the host's end. */
  public void compareHostEnd(LinkComparison links, Link hostEnd, Link containerEnd) {
    links.compareMtu(hostEnd, expected(hostEnd, containerEnd));
  }

  /**
   * Compares the MTU of the container's end. Where a later plugin may have set it, one other than
   * that configured before stays.
   *
   * @param hostEnd empty if it is missing
   */
  public void compareContainerEnd(LinkComparison links, Link containerEnd, Optional<Link> hostEnd) {
    if (isShared) {
      links.compareMtu(containerEnd, current, desired);
    } else {
      links.compareMtu(containerEnd, expected(hostEnd.orElse(containerEnd), containerEnd));
    }
  }

  /** Returns the expected MTU; 0 for any, if none is configured and both ends have the same. */
  private int expected(Link hostEnd, Link containerEnd) {
    boolean isConfigured = desired != 0 || current != 0;
    boolean differ = !isShared && hostEnd.mtu() != containerEnd.mtu();
    return isConfigured || differ ? LinkComparison.effectiveMtu(desired) : 0;
  }
}
