// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.netlink.ffm.nftables.PacketCount;
import java.util.Map;

/**
 * What a policy has done, since the rules were made. A policy that changed or was repaired may have
 * begun to count anew.
 *
 * @param allowed the packets that its rules allow, by direction; a packet that several policies
 *     allow counts for each
 * @param denied the packets, by direction, that were dropped because neither it nor another policy
 *     that restricts the same container allows them
 * @param limited the packets that were dropped because the policy's limit or that of another policy
 *     of the same container was exceeded
 */
public record PolicyHits(
    Map<Direction, PacketCount> allowed,
    Map<Direction, PacketCount> denied,
    Map<Direction, PacketCount> limited) {
  /** Copies the maps. */
  public PolicyHits {
    allowed = Map.copyOf(allowed);
    denied = Map.copyOf(denied);
    limited = Map.copyOf(limited);
  }
}
