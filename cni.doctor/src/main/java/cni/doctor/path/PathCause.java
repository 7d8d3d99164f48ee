// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

/** Why a packet, or the answer to it, does not arrive. */
public enum PathCause {
  /** A rule of nf_tables, of iptables included, drops or rejects it. */
  RULE,
  /** The policy of a base chain of nf_tables drops it. */
  CHAIN_POLICY,
  /** It vanishes in a netfilter hook where no rule of nf_tables drops it: xtables, eBPF. */
  OTHER_FILTER,
  /** A routing table has no route. */
  NO_ROUTE,
  /** A route of type blackhole discards it. */
  BLACKHOLE,
  /** A route of type unreachable rejects it. */
  UNREACHABLE,
  /** A route of type prohibit rejects it. */
  PROHIBITED,
  /** A rule of policy routing discards it, or selects a table that does. */
  ROUTING_RULE,
  /** The host does not forward packets between interfaces. */
  NOT_FORWARDING,
  /** The reverse path filter rejects its source address. */
  REVERSE_PATH,
  /** An interface or a bridge is down. */
  LINK_DOWN,
  /** An interface has no carrier. */
  NO_CARRIER,
  /** Both ports of the bridge are isolated. */
  ISOLATED_PORTS,
  /** The ports of the bridge have no VLAN in common. */
  VLAN,
  /** It would have to leave by the bridge port that it came in by, which is not in hairpin mode. */
  NO_HAIRPIN,
  /** The next hop is on another link. */
  NOT_ON_LINK,
  /** A container has lost the interface that ADD gave it. */
  INTERFACE_GONE,
  /** No interface has the address. */
  ADDRESS_MISSING,
  /** It is from ::1, which cannot leave the loopback interface, and was translated. */
  LOOPBACK_SOURCE,
  /** No rule translates a port of the host that a container publishes. */
  NOT_TRANSLATED,
  /** The neighbour table has a wrong hardware address. */
  NEIGHBOUR_WRONG,
  /** No host answers the request for the hardware address. */
  NEIGHBOUR_UNRESOLVED,
  /** It is longer than an interface transmits. */
  MTU,
  /** The namespace of the destination does not exist. */
  NAMESPACE_GONE,
  /** It arrives, but no program listens on the port. */
  NO_LISTENER,
  /** It leaves the host, and nothing comes back. */
  NO_ANSWER,
  /** It vanishes between two points, and the reason cannot be seen. */
  UNKNOWN
}
