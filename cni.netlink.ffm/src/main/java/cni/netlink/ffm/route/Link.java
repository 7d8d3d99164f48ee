// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static cni.netlink.ffm.route.LinkConstants.*;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;

/**
 * A network interface as RTM_GETLINK reports it.
 *
 * @param index the interface index in its namespace
 * @param name the name
 * @param kind the kind of virtual device, such as {@code veth} or {@code bridge}; empty for
 *     hardware and loopback
 * @param flags IFF_* of linux/if.h
 * @param mtu in bytes
 * @param mac the hardware address, lower case with colons; empty if there is none
 * @param permanentMac the hardware address that the device was made with (IFLA_PERM_ADDRESS), in
 *     the same form; empty for most virtual devices and before Linux 5.6
 * @param master the index of the bridge, bond or VRF that the link belongs to, 0 for none
 * @param linkedIndex the index of the linked interface (IFLA_LINK), 0 for none: the peer of a veth,
 *     the parent of a macvlan, ipvlan or VLAN. It is an index in the namespace of the linked
 *     interface
 * @param linkedNsid the nsid of the linked interface's namespace (IFLA_LINK_NETNSID), -1 if it is
 *     the link's own namespace
 * @param operState the operational state
 * @param promiscuity the number of users that put the link into promiscuous mode
 * @param txQueueLength the length of the transmit queue in packets
 * @param group the link group, 0 by default
 * @param acceptRa the kernel parameter {@code accept_ra} of the link: 0 if router advertisements
 *     are ignored; -1 if the link has no IPv6
 * @param ipv4Forwarding the kernel parameter {@code forwarding} of the link for IPv4: whether
 *     packets that come in by it are forwarded; false if the link has no IPv4
 * @param alias the alias; usually empty
 * @param kindData the settings that only links of this kind have
 * @param portModes the modes of a bridge port; all false for other links
 */
public record Link(
    int index,
    String name,
    String kind,
    int flags,
    int mtu,
    String mac,
    String permanentMac,
    int master,
    int linkedIndex,
    int linkedNsid,
    OperState operState,
    int promiscuity,
    int txQueueLength,
    int group,
    int acceptRa,
    boolean ipv4Forwarding,
    String alias,
    KindData kindData,
    PortModes portModes) {
  /** Settings specific to a kind of link (IFLA_INFO_DATA). */
  public sealed interface KindData {}

  /** No settings, or only settings that are not read. */
  public record NoKindData() implements KindData {}

  /** The routing table of a VRF. */
  public record Vrf(int table) implements KindData {}

  /** The mode of a macvlan (MACVLAN_MODE_*) or an ipvlan (IPVLAN_MODE_*). */
  public record Mode(int value) implements KindData {}

  /** The VLAN id of a VLAN interface. */
  public record Vlan(int id) implements KindData {}

  /**
   * How a bridge filters packets.
   *
   * @param vlanFiltering whether by the VLANs of its ports
   * @param callsIptables whether bridged IPv4 packets pass the hooks of IP (nf_call_iptables)
   * @param callsIp6tables whether bridged IPv6 packets do (nf_call_ip6tables)
   */
  public record Bridge(boolean vlanFiltering, boolean callsIptables, boolean callsIp6tables)
      implements KindData {
    /** Returns whether bridged packets pass the hooks of IP by the settings of the bridge. */
    public boolean isFiltered() {
      return callsIptables && callsIp6tables;
    }
  }

  /**
   * The modes of a bridge port.
   *
   * @param hairpin whether packets may leave by the port that they came in by
   * @param isolated whether the port exchanges no packets with other isolated ports
   */
  public record PortModes(boolean hairpin, boolean isolated) {
    private static final PortModes NONE = new PortModes(false, false);
  }

  /** The operational state of RFC 2863, in the order of IF_OPER_* in linux/if.h. */
  public enum OperState {
    /** The driver does not report its state; such a link usually works. */
    UNKNOWN,
    NOT_PRESENT,
    DOWN,
    LOWER_LAYER_DOWN,
    TESTING,
    DORMANT,
    UP
  }

  private static final int NO_IPV6 = -1;

  /** NETNSA_NSID_NOT_ASSIGNED of linux/net_namespace.h. */
  static final int NSID_NOT_ASSIGNED = -1;

  /** sizeof(struct ifinfomsg): family u8, pad u8, type u16, index s32, flags u32, change u32. */
  static final int IFINFOMSG = 16;

  static Link read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = RouteMessages.attributes(message, IFINFOMSG);
    Optional<Attributes> info = attributes.nested(IFLA_LINKINFO);
    int state = attributes.u8(IFLA_OPERSTATE).orElse(0);
    OperState[] states = OperState.values();
    return new Link(
        message.getInt(4),
        attributes.string(IFLA_IFNAME).orElse(""),
        info.flatMap(i -> i.string(IFLA_INFO_KIND)).orElse(""),
        message.getInt(8),
        attributes.u32(IFLA_MTU).orElse(0),
        attributes.bytes(IFLA_ADDRESS).map(Mac::format).orElse(""),
        attributes.bytes(IFLA_PERM_ADDRESS).map(Mac::format).orElse(""),
        attributes.u32(IFLA_MASTER).orElse(0),
        attributes.u32(IFLA_LINK).orElse(0),
        attributes.u32(IFLA_LINK_NETNSID).orElse(NSID_NOT_ASSIGNED),
        state < states.length ? states[state] : OperState.UNKNOWN,
        attributes.u32(IFLA_PROMISCUITY).orElse(0),
        attributes.u32(IFLA_TXQLEN).orElse(0),
        attributes.u32(IFLA_GROUP).orElse(0),
        readAcceptRa(attributes),
        readIpv4Forwarding(attributes),
        attributes.string(IFLA_IFALIAS).orElse(""),
        info.isEmpty() ? new NoKindData() : readKindData(info.get()),
        info.isEmpty() ? PortModes.NONE : readPortModes(info.get()));
  }

  /** Reads {@code accept_ra} from IFLA_INET6_CONF, an array of s32. */
  private static int readAcceptRa(Attributes link) throws MalformedMessageException {
    Optional<Attributes> families = link.nested(IFLA_AF_SPEC);
    Optional<Attributes> inet6 =
        families.isPresent()
            ? families.get().nested(RtnetlinkConstants.AF_INET6)
            : Optional.empty();
    if (inet6.isEmpty()) {
      return NO_IPV6;
    }
    List<ByteBuffer> conf = inet6.get().all(IFLA_INET6_CONF);
    int offset = Integer.BYTES * DEVCONF_ACCEPT_RA;
    boolean present = !conf.isEmpty() && conf.getLast().remaining() >= offset + Integer.BYTES;
    return present ? conf.getLast().getInt(offset) : NO_IPV6;
  }

  /** Reads an element of IFLA_INET_CONF, an array of s32 whose indexes begin with 1. */
  private static boolean readIpv4Forwarding(Attributes link) throws MalformedMessageException {
    Optional<Attributes> families = link.nested(IFLA_AF_SPEC);
    Optional<Attributes> inet =
        families.isPresent() ? families.get().nested(RtnetlinkConstants.AF_INET) : Optional.empty();
    if (inet.isEmpty()) {
      return false;
    }
    List<ByteBuffer> conf = inet.get().all(IFLA_INET_CONF);
    int offset = Integer.BYTES * (IPV4_DEVCONF_FORWARDING - 1);
    return !conf.isEmpty()
        && conf.getLast().remaining() >= offset + Integer.BYTES
        && conf.getLast().getInt(offset) != 0;
  }

  private static KindData readKindData(Attributes info) throws MalformedMessageException {
    Optional<Attributes> found = info.nested(IFLA_INFO_DATA);
    if (found.isEmpty()) {
      return new NoKindData();
    }
    Attributes data = found.get();
    return switch (info.string(IFLA_INFO_KIND).orElse("")) {
      case "vrf" -> new Vrf(data.u32(IFLA_VRF_TABLE).orElse(0));
      case "macvlan" -> new Mode(data.u32(IFLA_MACVLAN_MODE).orElse(0));
      case "ipvlan" -> new Mode(data.u16(IFLA_IPVLAN_MODE).orElse(0));
      case "vlan" -> new Vlan(data.u16(IFLA_VLAN_ID).orElse(0));
      case "bridge" ->
          new Bridge(
              data.u8(IFLA_BR_VLAN_FILTERING).orElse(0) != 0,
              data.u8(IFLA_BR_NF_CALL_IPTABLES).orElse(0) != 0,
              data.u8(IFLA_BR_NF_CALL_IP6TABLES).orElse(0) != 0);
      default -> new NoKindData();
    };
  }

  private static PortModes readPortModes(Attributes info) throws MalformedMessageException {
    Optional<Attributes> data =
        info.string(IFLA_INFO_SLAVE_KIND).filter("bridge"::equals).isPresent()
            ? info.nested(IFLA_INFO_SLAVE_DATA)
            : Optional.empty();
    return data.isEmpty()
        ? PortModes.NONE
        : new PortModes(
            data.get().u8(IFLA_BRPORT_MODE).orElse(0) != 0,
            data.get().u8(IFLA_BRPORT_ISOLATED).orElse(0) != 0);
  }

  /** Returns whether the link is administratively up (IFF_UP), whatever its operational state. */
  public boolean isUp() {
    return (flags & IFF_UP) != 0;
  }

  /** Returns whether the link is of the given kind. */
  public boolean isKind(String other) {
    return kind.equals(other);
  }
}
