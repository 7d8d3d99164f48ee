// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Mac;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The hardware address of a bridge. Until it is set explicitly, a bridge takes the lowest address
 * of its ports, which changes as containers come and go, and 00:00:00:00:00:00 without ports
 * (br_stp_recalculate_bridge_id in net/bridge/br_stp_if.c, which tests for NET_ADDR_SET).
 */
final class BridgeMac {
  private static final Path SYSFS = Path.of("/sys/class/net");

  /** NET_ADDR_SET of linux/netdevice.h, as sysfs writes it. */
  private static final String NET_ADDR_SET = "3";

  private static final String NONE = "00:00:00:00:00:00";

  private static final int MAX_KNOWN = 1024;

  /**
   * Bridges whose address is known to be fixed. Rtnetlink does not report the type of an address,
   * only sysfs does, and setting an address flushes the neighbour table of the bridge
   * (NETDEV_CHANGEADDR), so each is done at most once per process and bridge.
   */
  private static final Set<Known> FIXED = ConcurrentHashMap.newKeySet();

  /** For the implementation of {@code equals} see {@link cni.netlink.ffm.nftables.Table}. */
  private record Known(NetNs.Identity host, int index, String mac) {
    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof Known known
          && host.equals(known.host)
          && index == known.index
          && mac.equals(known.mac);
    }

    @Override
    public int hashCode() {
      return 31 * (31 * host.hashCode() + index) + mac.hashCode();
    }
  }

  private BridgeMac() {}

  /** Notes that a bridge has a fixed address. */
  static void noteFixed(NetNsSession host, int bridge, String mac) {
    if (FIXED.size() >= MAX_KNOWN) {
      FIXED.clear();
    }
    FIXED.add(new Known(host.hostIdentity(), bridge, mac));
  }

  /**
   * Returns the address that has to be set for the bridge to keep it: the present one, if there is
   * one.
   *
   * @return empty if the address is fixed already
   */
  static Optional<String> toFix(NetNsSession host, Link bridge) {
    if (bridge.mac().equals(NONE)) {
      return Optional.of(Mac.format(Mac.random()));
    }
    if (FIXED.contains(new Known(host.hostIdentity(), bridge.index(), bridge.mac()))) {
      return Optional.empty();
    }
    // Without traffic, as before the first container, setting is cheaper than finding out.
    boolean idle = bridge.operState() != Link.OperState.UP;
    if (!idle && isFixed(host, bridge)) {
      noteFixed(host, bridge.index(), bridge.mac());
      return Optional.empty();
    }
    return Optional.of(bridge.mac());
  }

  /** Returns whether the address was set explicitly. */
  static boolean isFixed(NetNsSession host, Link bridge) {
    Path type = SYSFS.resolve(bridge.name()).resolve("addr_assign_type");
    try {
      return host.<Boolean, IOException>callWithPrivateSysfs(
          () -> Files.readString(type).strip().equals(NET_ADDR_SET));
    } catch (IOException e) {
      return false; // no sysfs, or that of another namespace: setting the address does no harm
    }
  }
}
