// SPDX-License-Identifier: Apache-2.0
package cni.cli;

/**
 * A way to break a network in use, and the words by which each command names the cause. Commands
 * contain {@code VETH} for the host's end of the container's veth pair, {@code V4} for its IPv4
 * address with the prefix, and {@code GATEWAY} for its IPv4 gateway.
 */
enum Breakage {
  BRIDGE_DOWN(
      Place.HOST,
      "ip link set cni-n down",
      "interface cni-n in the host is down",
      "bridge-down",
      "the bridge is down",
      Path.PUBLISHED,
      "bridge cni-n of host is down"),
  BRIDGE_WITHOUT_ADDRESS(
      Place.HOST,
      "ip addr flush dev cni-n scope global",
      "bridge cni-n does not have the gateway's address GATEWAY/24",
      "bridge-without-address",
      "ip address show cni-n: no GATEWAY",
      Path.PUBLISHED,
      "bridge cni-n does not have GATEWAY, the gateway of its containers"),
  INTERFACE_DOWN(
      Place.CONTAINER,
      "ip link set eth0 down",
      "interface eth0 in the container (NETNS) is down",
      "interface-down",
      "link show eth0: state DOWN",
      Path.OUT,
      "eth0 of NETNS is down"),
  DEFAULT_ROUTE_REMOVED(
      Place.CONTAINER,
      "ip route del default",
      "route 0.0.0.0/0 via GATEWAY is missing from the container",
      "check-failed",
      "route 0.0.0.0/0 via GATEWAY is missing from the container",
      Path.OUT,
      "NETNS has no route to 192.0.2.2"),
  HOST_END_OFF_THE_BRIDGE(
      Place.HOST,
      "ip link set VETH nomaster",
      "interface VETH is not a port of bridge cni-n",
      "port-detached",
      "VETH: master none instead of cni-n",
      Path.NEIGHBOUR,
      "VETH of host, the host's end of eth0 of n/a, is not a port of bridge cni-n"),
  HOST_END_DOWN(
      Place.HOST,
      "ip link set VETH down",
      "interface VETH in the host is down",
      "interface-down",
      "ip link show VETH: state DOWN",
      Path.NEIGHBOUR,
      "VETH of host is down"),
  IPV4_FORWARDING_OFF(
      Place.HOST,
      "sysctl -qw net.ipv4.ip_forward=0",
      "net.ipv4.ip_forward is 0 on the host",
      "forwarding-off",
      "the host does not forward IPv4",
      Path.OUT,
      "host does not forward IPv4 packets"),
  IPV6_FORWARDING_OFF(
      Place.HOST,
      "sysctl -qw net.ipv6.conf.all.forwarding=0",
      "net.ipv6.conf.all.forwarding is 0 on the host",
      "forwarding-off",
      "the host does not forward IPv6",
      Path.OUT_IPV6,
      "host does not forward IPv6 packets"),
  PORT_RULES_FLUSHED(
      Place.HOST,
      "{ nft flush chain ip nat CNI-HOSTPORT-DNAT && nft flush chain ip6 nat CNI-HOSTPORT-DNAT; }"
          + " || nft delete table inet cni_hostport",
      "ports [8080/tcp] are not mapped as they should be",
      "check-failed",
      "ports [8080/tcp] are not mapped as they should be",
      Path.PUBLISHED,
      "n/a publishes port 8080, but no rule translates it"),
  MASQUERADE_RULES_FLUSHED(
      Place.HOST,
      "nft flush chain ip nat POSTROUTING || nft delete table inet cni_plugins_masquerade",
      "are not masqueraded as configured",
      "check-failed",
      "are not masqueraded as configured",
      Path.OUT,
      "leaves host with the untranslated source address"),
  ADDRESS_REMOVED(
      Place.CONTAINER,
      "ip addr del V4 dev eth0",
      "address V4 is missing from interface eth0",
      "check-failed",
      "address V4 is missing from interface eth0",
      Path.OUT,
      "n/a does not have its address"),
  MTU_TOO_SMALL(
      Place.HOST,
      "ip link set VETH mtu 1300",
      "interface VETH in the host has MTU 1300, expected 1500",
      "mtu-above-bridge",
      "the MTU of VETH is too small",
      Path.LARGE,
      "longer than the MTU of VETH of host, 1300"),
  FORWARD_POLICY_DROP(
      Place.HOST,
      "nft 'table inet foreign { chain f { type filter hook forward priority 10; policy drop; }; }'",
      "\"jump CNI-FORWARD\" in chain inet foreign f",
      "forward-dropped",
      "chain inet foreign f",
      Path.OUT,
      "dropped by policy drop of chain inet foreign f"),
  /** CHECK does not compare rules of other programs. */
  FORWARD_RULE_DROP(
      Place.HOST,
      "nft 'table inet foreign { chain f { type filter hook forward priority 10;"
          + " ip saddr V4 drop; }; }'",
      "",
      "forward-dropped",
      "a rule of chain inet foreign f",
      Path.OUT,
      "of chain inet foreign f, hook forward of host"),
  /** CHECK does not compare neighbours that ADD has not made, nor does the doctor. */
  NEIGHBOUR_WRONG(
      Place.CONTAINER,
      "ip neigh replace GATEWAY lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
      "",
      "",
      "",
      Path.OUT,
      "the neighbour table of NETNS has 02:00:00:00:00:99 for GATEWAY"),
  HAIRPIN_OFF(
      Place.HOST,
      "bridge link set dev VETH hairpin off",
      "port VETH has hairpin mode off",
      "hairpin-off",
      "show dev VETH: hairpin off",
      Path.OWN_PORT,
      "port VETH is not in hairpin mode");

  /** Where a command breaks the network. */
  enum Place {
    HOST,
    CONTAINER
  }

  /** The packet that does not arrive. */
  enum Path {
    /** From the container to the outside over TCP. */
    OUT,
    OUT_IPV6,
    /** A long packet to the outside. */
    LARGE,
    /** To the other container. */
    NEIGHBOUR,
    /** From the outside to the published port. */
    PUBLISHED,
    /** From the container to its own published port. */
    OWN_PORT
  }

  final Place place;
  final String command;
  final String check;
  final String kind;
  final String doctor;
  final Path path;
  final String why;

  /**
   * Creates a breakage.
   *
   * @param check what the first finding of {@code cni check} contains; empty if it finds nothing
   * @param kind of the first finding of {@code cni doctor}; empty if it finds nothing
   * @param doctor what that finding contains
   * @param why what the first line of {@code cni why} contains
   */
  Breakage(
      Place place,
      String command,
      String check,
      String kind,
      String doctor,
      Path path,
      String why) {
    this.place = place;
    this.command = command;
    this.check = check;
    this.kind = kind;
    this.doctor = doctor;
    this.path = path;
    this.why = why;
  }
}
