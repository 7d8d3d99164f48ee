// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

/**
 * A VLAN of a bridge port (struct bridge_vlan_info of linux/if_bridge.h).
 *
 * @param id the VLAN id
 * @param pvid whether untagged packets that come in belong to the VLAN
 * @param untagged whether its packets leave untagged
 */
public record BridgeVlan(int id, boolean pvid, boolean untagged) {
  static BridgeVlan of(int id, int flags) {
    return new BridgeVlan(
        id,
        (flags & LinkConstants.BRIDGE_VLAN_INFO_PVID) != 0,
        (flags & LinkConstants.BRIDGE_VLAN_INFO_UNTAGGED) != 0);
  }

  int flags() {
    return (pvid ? LinkConstants.BRIDGE_VLAN_INFO_PVID : 0)
        | (untagged ? LinkConstants.BRIDGE_VLAN_INFO_UNTAGGED : 0);
  }
}
