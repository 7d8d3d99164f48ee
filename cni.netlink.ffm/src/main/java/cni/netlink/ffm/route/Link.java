package cni.netlink.ffm.route;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;

/**
 * A network interface, as RTM_GETLINK tells it.
 *
 * @param index its number in its namespace
 * @param name its name
 * @param kind what made it, such as {@code veth} or {@code bridge}; empty for hardware and loopback
 * @param flags IFF_* of linux/if.h
 * @param mtu in bytes
 * @param mac the hardware address, lower case with colons; empty if it has none
 * @param master the index of the bridge or bond that it belongs to, 0 for none
 * @param linkedIndex the index of the interface that it is tied to (IFLA_LINK): the other end of a
 *     veth, in the other end's namespace; 0 for none
 * @param linkedNsid what the link's namespace calls that one (IFLA_LINK_NETNSID), -1 if it is the
 *     same
 * @param operState whether it can pass packets
 * @param promiscuity how many users want every packet
 * @param txQueueLength in packets
 * @param group its group
 * @param acceptRa whether it takes router advertisements, as the kernel parameter {@code accept_ra}
 *     has it: 0 for no; -1 where there is no IPv6
 * @param alias what somebody has written on it; usually empty
 * @param kindData what distinguishes it from others of its kind
 */
public record Link(
    int index,
    String name,
    String kind,
    int flags,
    int mtu,
    String mac,
    int master,
    int linkedIndex,
    int linkedNsid,
    OperState operState,
    int promiscuity,
    int txQueueLength,
    int group,
    int acceptRa,
    String alias,
    KindData kindData) {
  /** What a kind of links has for itself (IFLA_INFO_DATA). */
  public sealed interface KindData {}

  /** Nothing that is read here. */
  public record NoKindData() implements KindData {}

  /** The routing table of a vrf. */
  public record Vrf(int table) implements KindData {}

  /** The mode of a macvlan (MACVLAN_MODE_*) or an ipvlan (IPVLAN_MODE_*). */
  public record Mode(int value) implements KindData {}

  /** The number of a VLAN. */
  public record Vlan(int id) implements KindData {}

  /** RFC 2863 operational state, in the order of IF_OPER_* in linux/if.h. */
  public enum OperState {
    /** The driver does not say; such an interface usually works. */
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
    Optional<Attributes> info = attributes.nested(LinkConstants.IFLA_LINKINFO);
    int state = attributes.u8(LinkConstants.IFLA_OPERSTATE).orElse(0);
    OperState[] states = OperState.values();
    return new Link(
        message.getInt(4),
        attributes.string(LinkConstants.IFLA_IFNAME).orElse(""),
        info.flatMap(i -> i.string(LinkConstants.IFLA_INFO_KIND)).orElse(""),
        message.getInt(8),
        attributes.u32(LinkConstants.IFLA_MTU).orElse(0),
        attributes.bytes(LinkConstants.IFLA_ADDRESS).map(Mac::format).orElse(""),
        attributes.u32(LinkConstants.IFLA_MASTER).orElse(0),
        attributes.u32(LinkConstants.IFLA_LINK).orElse(0),
        attributes.u32(LinkConstants.IFLA_LINK_NETNSID).orElse(NSID_NOT_ASSIGNED),
        state < states.length ? states[state] : OperState.UNKNOWN,
        attributes.u32(LinkConstants.IFLA_PROMISCUITY).orElse(0),
        attributes.u32(LinkConstants.IFLA_TXQLEN).orElse(0),
        attributes.u32(LinkConstants.IFLA_GROUP).orElse(0),
        readAcceptRa(attributes),
        attributes.string(LinkConstants.IFLA_IFALIAS).orElse(""),
        info.isEmpty() ? new NoKindData() : readKindData(info.get()));
  }

  /** IFLA_INET6_CONF is an array of s32. */
  private static int readAcceptRa(Attributes link) throws MalformedMessageException {
    Optional<Attributes> families = link.nested(LinkConstants.IFLA_AF_SPEC);
    Optional<Attributes> v6 =
        families.isPresent()
            ? families.get().nested(RtnetlinkConstants.AF_INET6)
            : Optional.empty();
    if (v6.isEmpty()) {
      return NO_IPV6;
    }
    List<ByteBuffer> conf = v6.get().all(LinkConstants.IFLA_INET6_CONF);
    int at = Integer.BYTES * LinkConstants.DEVCONF_ACCEPT_RA;
    boolean told = !conf.isEmpty() && conf.getLast().remaining() >= at + Integer.BYTES;
    return told ? conf.getLast().getInt(at) : NO_IPV6;
  }

  private static KindData readKindData(Attributes info) throws MalformedMessageException {
    Optional<Attributes> there = info.nested(LinkConstants.IFLA_INFO_DATA);
    if (there.isEmpty()) {
      return new NoKindData();
    }
    Attributes data = there.get();
    return switch (info.string(LinkConstants.IFLA_INFO_KIND).orElse("")) {
      case "vrf" -> new Vrf(data.u32(LinkConstants.IFLA_VRF_TABLE).orElse(0));
      case "macvlan" -> new Mode(data.u32(LinkConstants.IFLA_MACVLAN_MODE).orElse(0));
      case "ipvlan" -> new Mode(data.u16(LinkConstants.IFLA_IPVLAN_MODE).orElse(0));
      case "vlan" -> new Vlan(data.u16(LinkConstants.IFLA_VLAN_ID).orElse(0));
      default -> new NoKindData();
    };
  }

  /** Whether it is set up (IFF_UP), whatever its operational state. */
  public boolean isUp() {
    return (flags & LinkConstants.IFF_UP) != 0;
  }

  /** Whether it is of that kind. */
  public boolean isKind(String other) {
    return kind.equals(other);
  }
}
