// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import static cni.netlink.ffm.nftables.AnonymousSet.Type.INTERFACE_NAME;
import static cni.netlink.ffm.nftables.AnonymousSet.Type.IPV4_ADDRESS;
import static cni.netlink.ffm.nftables.AnonymousSet.Type.IPV6_ADDRESS;
import static cni.netlink.ffm.nftables.AnonymousSet.Type.PORT;
import static cni.netlink.ffm.nftables.AnonymousSet.Type.PROTOCOL;

import cni.netlink.ffm.nftables.AnonymousSet;
import cni.netlink.ffm.nftables.NamedSet;
import cni.netlink.ffm.nftables.PacketField;
import cni.policy.Direction;
import java.util.ArrayList;
import java.util.List;

/** The kinds of sets of which a packet must match one to pass a {@link Profile}. */
enum ProfileSet {
  /** Containers that may use every port. */
  PEERS("peers", true, false, false),
  /** Containers with single ports. */
  PORTS("ports", true, true, false),
  /** Containers with ranges of ports. */
  SPANS("spans", true, true, true),
  /** Ranges of addresses that may use every port. */
  BLOCKS("blocks", false, false, true),
  /** Ranges of addresses with ranges of ports. */
  RANGES("ranges", false, true, true);

  private final String suffix;
  private final boolean hasDevice;
  private final boolean hasPorts;
  private final boolean isInterval;

  ProfileSet(String suffix, boolean hasDevice, boolean hasPorts, boolean isInterval) {
    this.suffix = suffix;
    this.hasDevice = hasDevice;
    this.hasPorts = hasPorts;
    this.isInterval = isInterval;
  }

  /** Returns whether its elements are containers. */
  boolean hasDevice() {
    return hasDevice;
  }

  /** Returns whether its elements have ports. */
  boolean hasPorts() {
    return hasPorts;
  }

  /** Returns the set of a chain. */
  NamedSet of(String chain, boolean isV4) {
    List<AnonymousSet.Type> key = new ArrayList<>();
    if (hasDevice) {
      key.add(INTERFACE_NAME);
    }
    key.add(isV4 ? IPV4_ADDRESS : IPV6_ADDRESS);
    if (hasPorts) {
      key.add(PROTOCOL);
      key.add(PORT);
    }
    String name = chain + "-" + suffix + (isV4 ? "4" : "6");
    NamedSet set = NamedSet.of(name, key.toArray(AnonymousSet.Type[]::new)).withCounters();
    return isInterval ? set.withIntervals() : set;
  }

  /** Returns the fields of a packet that its key consists of. */
  PacketField[] fields(Direction direction, boolean isV4) {
    boolean isSource = direction == Direction.INGRESS;
    List<PacketField> fields = new ArrayList<>();
    if (hasDevice) {
      fields.add(isSource ? PacketField.INPUT_INTERFACE : PacketField.OUTPUT_INTERFACE);
    }
    fields.add(address(isSource, isV4));
    if (hasPorts) {
      fields.add(PacketField.TRANSPORT_PROTOCOL);
      fields.add(PacketField.DESTINATION_PORT);
    }
    return fields.toArray(PacketField[]::new);
  }

  private static PacketField address(boolean isSource, boolean isV4) {
    if (isV4) {
      return isSource ? PacketField.IPV4_SOURCE : PacketField.IPV4_DESTINATION;
    }
    return isSource ? PacketField.IPV6_SOURCE : PacketField.IPV6_DESTINATION;
  }
}
