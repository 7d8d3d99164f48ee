package cni.netlink.ffm.route;

import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.netns.NetNs;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.Consumer;

/** Requests about links, for sending several at once; {@link RouteSocket} sends single ones. */
public final class LinkRequests {
  private LinkRequests() {}

  /** struct ifinfomsg of linux/rtnetlink.h. */
  static NetlinkRequest ifinfomsg(
      NetlinkRequest message, int family, int index, int flags, int change) {
    return message.u8(family).u8(0).u16(0).u32(index).u32(flags).u32(change);
  }

  private static NetlinkRequest change(String what, int index, int flags, int change) {
    var message = new NetlinkRequest(what, RtnetlinkConstants.RTM_NEWLINK, 0);
    return ifinfomsg(message, RtnetlinkConstants.AF_UNSPEC, index, flags, change);
  }

  /** Asks for the link with that name; ENODEV if there is none. */
  public static NetlinkRequest get(String name) {
    var message =
        new NetlinkRequest("get link \"" + name + "\"", RtnetlinkConstants.RTM_GETLINK, 0);
    boolean alternative = name.length() > LinkConstants.MAX_NAME_LENGTH;
    return withoutStatistics(ifinfomsg(message, RtnetlinkConstants.AF_UNSPEC, 0, 0, 0))
        .string(alternative ? LinkConstants.IFLA_ALT_IFNAME : LinkConstants.IFLA_IFNAME, name);
  }

  /** Asks for the link with that index; ENODEV if there is none. */
  public static NetlinkRequest get(int index) {
    var message = new NetlinkRequest("get link " + index, RtnetlinkConstants.RTM_GETLINK, 0);
    return withoutStatistics(ifinfomsg(message, RtnetlinkConstants.AF_UNSPEC, index, 0, 0));
  }

  /** Counters are most of what the kernel tells of a link, and nobody reads them here. */
  private static NetlinkRequest withoutStatistics(NetlinkRequest message) {
    return message.u32(LinkConstants.IFLA_EXT_MASK, LinkConstants.RTEXT_FILTER_SKIP_STATS);
  }

  /** Asks for every link. */
  public static NetlinkRequest list() {
    var message =
        new NetlinkRequest(
            "list links", RtnetlinkConstants.RTM_GETLINK, NetlinkConstants.NLM_F_DUMP);
    return withoutStatistics(ifinfomsg(message, RtnetlinkConstants.AF_UNSPEC, 0, 0, 0));
  }

  /** Asks for every port of a bridge with its VLANs. */
  public static NetlinkRequest listBridgeVlans() {
    var message =
        new NetlinkRequest(
            "list bridge VLANs", RtnetlinkConstants.RTM_GETLINK, NetlinkConstants.NLM_F_DUMP);
    return ifinfomsg(message, RtnetlinkConstants.AF_BRIDGE, 0, 0, 0)
        .u32(LinkConstants.IFLA_EXT_MASK, LinkConstants.RTEXT_FILTER_BRVLAN);
  }

  /** Sets a link up. */
  public static NetlinkRequest setUp(int index) {
    return change("set link " + index + " up", index, LinkConstants.IFF_UP, LinkConstants.IFF_UP);
  }

  /** Has a link announce its IPv4 addresses by ARP when it goes up (arp_notify). */
  public static NetlinkRequest enableArpNotify(int index) {
    return change("set arp_notify of link " + index, index, 0, 0)
        .nest(
            LinkConstants.IFLA_AF_SPEC,
            families ->
                families.nest(
                    RtnetlinkConstants.AF_INET,
                    v4 ->
                        v4.nest(
                            LinkConstants.IFLA_INET_CONF,
                            conf -> conf.u32(LinkConstants.IPV4_DEVCONF_ARP_NOTIFY, 1))));
  }

  /** Sets a link down. */
  public static NetlinkRequest setDown(int index) {
    return change("set link " + index + " down", index, 0, LinkConstants.IFF_UP);
  }

  /** Has a link take every packet. */
  public static NetlinkRequest setPromiscuous(int index) {
    int promisc = LinkConstants.IFF_PROMISC;
    return change("set link " + index + " promiscuous", index, promisc, promisc);
  }

  /** Writes something on a link, up to 255 bytes. */
  public static NetlinkRequest setAlias(int index, String alias) {
    return change("set alias of link " + index, index, 0, 0)
        .unterminatedString(LinkConstants.IFLA_IFALIAS, alias);
  }

  /** Sets a link's hardware address. */
  public static NetlinkRequest setMac(int index, String mac) {
    return change("set address " + mac + " of link " + index, index, 0, 0)
        .bytes(LinkConstants.IFLA_ADDRESS, Mac.parse(mac));
  }

  /** Puts a link into a bridge or bond; 0 takes it out. */
  public static NetlinkRequest setMaster(int index, int master) {
    return change("set master " + master + " of link " + index, index, 0, 0)
        .u32(LinkConstants.IFLA_MASTER, master);
  }

  /** Puts a link into a group. */
  public static NetlinkRequest setGroup(int index, int group) {
    return change("set group " + group + " of link " + index, index, 0, 0)
        .u32(LinkConstants.IFLA_GROUP, group);
  }

  /** Sets how a bridge treats one of its ports. */
  public static NetlinkRequest setBridgePort(int index, boolean hairpin, boolean isolated) {
    return port(
        "set bridge port " + index,
        index,
        port ->
            port.u8(LinkConstants.IFLA_BRPORT_MODE, hairpin ? 1 : 0)
                .u8(LinkConstants.IFLA_BRPORT_ISOLATED, isolated ? 1 : 0));
  }

  /** Lets packets leave by the port of a bridge that they came in by. */
  public static NetlinkRequest setHairpin(int index) {
    String what = "set hairpin mode of bridge port " + index;
    return port(what, index, port -> port.u8(LinkConstants.IFLA_BRPORT_MODE, 1));
  }

  private static NetlinkRequest port(String what, int index, Consumer<NetlinkRequest> settings) {
    return change(what, index, 0, 0)
        .nest(
            LinkConstants.IFLA_LINKINFO,
            info ->
                info.unterminatedString(LinkConstants.IFLA_INFO_SLAVE_KIND, "bridge")
                    .nest(LinkConstants.IFLA_INFO_SLAVE_DATA, settings));
  }

  /** Has a bridge tell VLANs apart. */
  public static NetlinkRequest enableVlanFiltering(int index) {
    return change("set vlan_filtering of bridge " + index, index, 0, 0)
        .nest(
            LinkConstants.IFLA_LINKINFO,
            info ->
                info.unterminatedString(LinkConstants.IFLA_INFO_KIND, "bridge")
                    .nest(
                        LinkConstants.IFLA_INFO_DATA,
                        data -> data.u8(LinkConstants.IFLA_BR_VLAN_FILTERING, 1)));
  }

  /**
   * Lets a VLAN through a bridge's port.
   *
   * @param index the port
   * @param untagged whether it is the port's own: packets without a tag belong to it and leave
   *     without one
   */
  public static NetlinkRequest addVlan(int index, int vlan, boolean untagged) {
    int flags =
        untagged
            ? LinkConstants.BRIDGE_VLAN_INFO_PVID | LinkConstants.BRIDGE_VLAN_INFO_UNTAGGED
            : 0;
    var message =
        new NetlinkRequest(
            "add VLAN " + vlan + " to bridge port " + index, RtnetlinkConstants.RTM_SETLINK, 0);
    return vlan(message, index, vlan, flags);
  }

  /** Bars a VLAN from a bridge's port. */
  public static NetlinkRequest deleteVlan(int index, int vlan) {
    var message =
        new NetlinkRequest(
            "delete VLAN " + vlan + " from bridge port " + index,
            RtnetlinkConstants.RTM_DELLINK,
            0);
    return vlan(message, index, vlan, 0);
  }

  private static NetlinkRequest vlan(NetlinkRequest message, int index, int vlan, int flags) {
    ByteBuffer info = ByteBuffer.allocate(4).order(ByteOrder.nativeOrder());
    info.putShort((short) flags).putShort((short) vlan);
    return ifinfomsg(message, RtnetlinkConstants.AF_BRIDGE, index, 0, 0)
        .nest(
            LinkConstants.IFLA_AF_SPEC,
            spec ->
                spec.u16(LinkConstants.IFLA_BRIDGE_FLAGS, LinkConstants.BRIDGE_FLAGS_MASTER)
                    .bytes(LinkConstants.IFLA_BRIDGE_VLAN_INFO, info.array()));
  }

  /** Deletes a link; that of a veth takes its peer with it. ENODEV if there is none. */
  public static NetlinkRequest delete(int index) {
    var message = new NetlinkRequest("delete link " + index, RtnetlinkConstants.RTM_DELLINK, 0);
    return ifinfomsg(message, RtnetlinkConstants.AF_UNSPEC, index, 0, 0);
  }

  /** Deletes the link with that name. ENODEV if there is none. */
  public static NetlinkRequest delete(String name) {
    var message =
        new NetlinkRequest("delete link \"" + name + "\"", RtnetlinkConstants.RTM_DELLINK, 0);
    return ifinfomsg(message, RtnetlinkConstants.AF_UNSPEC, 0, 0, 0)
        .string(LinkConstants.IFLA_IFNAME, name);
  }

  /**
   * Deletes every link of a group, which takes hardly longer than deleting one. EOPNOTSUPP if there
   * is one that cannot be deleted, ENODEV if there is none.
   */
  public static NetlinkRequest deleteGroup(int group) {
    var message =
        new NetlinkRequest("delete link group " + group, RtnetlinkConstants.RTM_DELLINK, 0);
    return ifinfomsg(message, RtnetlinkConstants.AF_UNSPEC, 0, 0, 0)
        .u32(LinkConstants.IFLA_GROUP, group);
  }

  /** Asks what this namespace calls another one: {@code struct rtgenmsg} of linux/rtnetlink.h. */
  static NetlinkRequest getNsid(NetNs other) {
    var message = new NetlinkRequest("get number of " + other, RtnetlinkConstants.RTM_GETNSID, 0);
    return message
        .u8(RtnetlinkConstants.AF_UNSPEC)
        .u8(0)
        .u16(0)
        .u32(LinkConstants.NETNSA_FD, other.fd());
  }

  /** Has this namespace give another one a number. EEXIST if it has one. */
  static NetlinkRequest assignNsid(NetNs other) {
    var message = new NetlinkRequest("number " + other, RtnetlinkConstants.RTM_NEWNSID, 0);
    return message
        .u8(RtnetlinkConstants.AF_UNSPEC)
        .u8(0)
        .u16(0)
        .u32(LinkConstants.NETNSA_NSID, Link.NSID_NOT_ASSIGNED)
        .u32(LinkConstants.NETNSA_FD, other.fd());
  }

  /** Asks for a family's parameters that hold for all links: struct netconfmsg. */
  static NetlinkRequest getNetconf(int family) {
    var message =
        new NetlinkRequest("get parameters of all links", RtnetlinkConstants.RTM_GETNETCONF, 0);
    return message
        .u8(family)
        .u8(0)
        .u16(0)
        .u32(LinkConstants.NETCONFA_IFINDEX, LinkConstants.NETCONFA_IFINDEX_ALL);
  }
}
