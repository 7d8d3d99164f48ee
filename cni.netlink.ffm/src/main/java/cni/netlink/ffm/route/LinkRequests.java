package cni.netlink.ffm.route;

import cni.netlink.ffm.NetNs;
import cni.netlink.ffm.Netlink;
import cni.netlink.ffm.NetlinkMessage;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.Consumer;

/** Requests about links, for sending several at once; {@link Rtnetlink} sends single ones. */
public final class LinkRequests {
  private LinkRequests() {}

  /** struct ifinfomsg of linux/rtnetlink.h. */
  static NetlinkMessage ifinfomsg(
      NetlinkMessage message, int family, int index, int flags, int change) {
    return message.u8(family).u8(0).u16(0).u32(index).u32(flags).u32(change);
  }

  private static NetlinkMessage change(String what, int index, int flags, int change) {
    var message = new NetlinkMessage(what, RtNetlink.RTM_NEWLINK, 0);
    return ifinfomsg(message, RtNetlink.AF_UNSPEC, index, flags, change);
  }

  /** Asks for the link with that name; ENODEV if there is none. */
  public static NetlinkMessage get(String name) {
    var message = new NetlinkMessage("get link \"" + name + "\"", RtNetlink.RTM_GETLINK, 0);
    boolean alternative = name.length() > IfLink.LONGEST_NAME;
    return withoutStatistics(ifinfomsg(message, RtNetlink.AF_UNSPEC, 0, 0, 0))
        .string(alternative ? IfLink.IFLA_ALT_IFNAME : IfLink.IFLA_IFNAME, name);
  }

  /** Asks for the link with that index; ENODEV if there is none. */
  public static NetlinkMessage get(int index) {
    var message = new NetlinkMessage("get link " + index, RtNetlink.RTM_GETLINK, 0);
    return withoutStatistics(ifinfomsg(message, RtNetlink.AF_UNSPEC, index, 0, 0));
  }

  /** Counters are most of what the kernel tells of a link, and nobody reads them here. */
  private static NetlinkMessage withoutStatistics(NetlinkMessage message) {
    return message.u32(IfLink.IFLA_EXT_MASK, IfLink.RTEXT_FILTER_SKIP_STATS);
  }

  /** Asks for every link. */
  public static NetlinkMessage list() {
    var message = new NetlinkMessage("list links", RtNetlink.RTM_GETLINK, Netlink.NLM_F_DUMP);
    return withoutStatistics(ifinfomsg(message, RtNetlink.AF_UNSPEC, 0, 0, 0));
  }

  /** Asks for every port of a bridge with its VLANs. */
  public static NetlinkMessage listVlans() {
    var message =
        new NetlinkMessage("list bridge VLANs", RtNetlink.RTM_GETLINK, Netlink.NLM_F_DUMP);
    return ifinfomsg(message, RtNetlink.AF_BRIDGE, 0, 0, 0)
        .u32(IfLink.IFLA_EXT_MASK, IfLink.RTEXT_FILTER_BRVLAN);
  }

  /** Sets a link up. */
  public static NetlinkMessage setUp(int index) {
    return change("set link " + index + " up", index, IfLink.IFF_UP, IfLink.IFF_UP);
  }

  /** Has a link announce its IPv4 addresses by ARP when it goes up (arp_notify). */
  public static NetlinkMessage announceAddresses(int index) {
    return change("set arp_notify of link " + index, index, 0, 0)
        .nest(
            IfLink.IFLA_AF_SPEC,
            families ->
                families.nest(
                    RtNetlink.AF_INET,
                    v4 ->
                        v4.nest(
                            IfLink.IFLA_INET_CONF,
                            conf -> conf.u32(IfLink.IPV4_DEVCONF_ARP_NOTIFY, 1))));
  }

  /** Sets a link down. */
  public static NetlinkMessage setDown(int index) {
    return change("set link " + index + " down", index, 0, IfLink.IFF_UP);
  }

  /** Has a link take every packet. */
  public static NetlinkMessage setPromiscuous(int index) {
    int promisc = IfLink.IFF_PROMISC;
    return change("set link " + index + " promiscuous", index, promisc, promisc);
  }

  /** Writes something on a link, up to 255 bytes. */
  public static NetlinkMessage setAlias(int index, String alias) {
    return change("set alias of link " + index, index, 0, 0).text(IfLink.IFLA_IFALIAS, alias);
  }

  /** Sets a link's hardware address. */
  public static NetlinkMessage setMac(int index, String mac) {
    return change("set address " + mac + " of link " + index, index, 0, 0)
        .bytes(IfLink.IFLA_ADDRESS, Mac.parse(mac));
  }

  /** Puts a link into a bridge or bond; 0 takes it out. */
  public static NetlinkMessage setMaster(int index, int master) {
    return change("set master " + master + " of link " + index, index, 0, 0)
        .u32(IfLink.IFLA_MASTER, master);
  }

  /** Puts a link into a group. */
  public static NetlinkMessage setGroup(int index, int group) {
    return change("set group " + group + " of link " + index, index, 0, 0)
        .u32(IfLink.IFLA_GROUP, group);
  }

  /** Sets how a bridge treats one of its ports. */
  public static NetlinkMessage setPort(int index, boolean hairpin, boolean isolated) {
    return port(
        "set bridge port " + index,
        index,
        port ->
            port.u8(IfLink.IFLA_BRPORT_MODE, hairpin ? 1 : 0)
                .u8(IfLink.IFLA_BRPORT_ISOLATED, isolated ? 1 : 0));
  }

  /** Lets packets leave by the port of a bridge that they came in by. */
  public static NetlinkMessage setHairpin(int index) {
    String what = "set hairpin mode of bridge port " + index;
    return port(what, index, port -> port.u8(IfLink.IFLA_BRPORT_MODE, 1));
  }

  private static NetlinkMessage port(String what, int index, Consumer<NetlinkMessage> settings) {
    return change(what, index, 0, 0)
        .nest(
            IfLink.IFLA_LINKINFO,
            info ->
                info.text(IfLink.IFLA_INFO_SLAVE_KIND, "bridge")
                    .nest(IfLink.IFLA_INFO_SLAVE_DATA, settings));
  }

  /** Has a bridge tell VLANs apart. */
  public static NetlinkMessage setVlanFiltering(int index) {
    return change("set vlan_filtering of bridge " + index, index, 0, 0)
        .nest(
            IfLink.IFLA_LINKINFO,
            info ->
                info.text(IfLink.IFLA_INFO_KIND, "bridge")
                    .nest(
                        IfLink.IFLA_INFO_DATA, data -> data.u8(IfLink.IFLA_BR_VLAN_FILTERING, 1)));
  }

  /**
   * Lets a VLAN through a bridge's port.
   *
   * @param index the port
   * @param untagged whether it is the port's own: packets without a tag belong to it and leave
   *     without one
   */
  public static NetlinkMessage addVlan(int index, int vlan, boolean untagged) {
    int flags = untagged ? IfLink.BRIDGE_VLAN_INFO_PVID | IfLink.BRIDGE_VLAN_INFO_UNTAGGED : 0;
    var message =
        new NetlinkMessage(
            "add VLAN " + vlan + " to bridge port " + index, RtNetlink.RTM_SETLINK, 0);
    return vlan(message, index, vlan, flags);
  }

  /** Bars a VLAN from a bridge's port. */
  public static NetlinkMessage deleteVlan(int index, int vlan) {
    var message =
        new NetlinkMessage(
            "delete VLAN " + vlan + " from bridge port " + index, RtNetlink.RTM_DELLINK, 0);
    return vlan(message, index, vlan, 0);
  }

  private static NetlinkMessage vlan(NetlinkMessage message, int index, int vlan, int flags) {
    ByteBuffer info = ByteBuffer.allocate(4).order(ByteOrder.nativeOrder());
    info.putShort((short) flags).putShort((short) vlan);
    return ifinfomsg(message, RtNetlink.AF_BRIDGE, index, 0, 0)
        .nest(
            IfLink.IFLA_AF_SPEC,
            spec ->
                spec.u16(IfLink.IFLA_BRIDGE_FLAGS, IfLink.BRIDGE_FLAGS_MASTER)
                    .bytes(IfLink.IFLA_BRIDGE_VLAN_INFO, info.array()));
  }

  /** Deletes a link; that of a veth takes its peer with it. ENODEV if there is none. */
  public static NetlinkMessage delete(int index) {
    var message = new NetlinkMessage("delete link " + index, RtNetlink.RTM_DELLINK, 0);
    return ifinfomsg(message, RtNetlink.AF_UNSPEC, index, 0, 0);
  }

  /** Deletes the link with that name. ENODEV if there is none. */
  public static NetlinkMessage delete(String name) {
    var message = new NetlinkMessage("delete link \"" + name + "\"", RtNetlink.RTM_DELLINK, 0);
    return ifinfomsg(message, RtNetlink.AF_UNSPEC, 0, 0, 0).string(IfLink.IFLA_IFNAME, name);
  }

  /**
   * Deletes every link of a group, which takes hardly longer than deleting one. EOPNOTSUPP if there
   * is one that cannot be deleted, ENODEV if there is none.
   */
  public static NetlinkMessage deleteGroup(int group) {
    var message = new NetlinkMessage("delete link group " + group, RtNetlink.RTM_DELLINK, 0);
    return ifinfomsg(message, RtNetlink.AF_UNSPEC, 0, 0, 0).u32(IfLink.IFLA_GROUP, group);
  }

  /** Asks what this namespace calls another one: {@code struct rtgenmsg} of linux/rtnetlink.h. */
  static NetlinkMessage getNamespace(NetNs other) {
    var message = new NetlinkMessage("get number of " + other, RtNetlink.RTM_GETNSID, 0);
    return message.u8(RtNetlink.AF_UNSPEC).u8(0).u16(0).u32(IfLink.NETNSA_FD, other.fd());
  }

  /** Has this namespace give another one a number. EEXIST if it has one. */
  static NetlinkMessage numberNamespace(NetNs other) {
    var message = new NetlinkMessage("number " + other, RtNetlink.RTM_NEWNSID, 0);
    return message
        .u8(RtNetlink.AF_UNSPEC)
        .u8(0)
        .u16(0)
        .u32(IfLink.NETNSA_NSID, Link.NO_NAMESPACE)
        .u32(IfLink.NETNSA_FD, other.fd());
  }

  /** Asks for a family's parameters that hold for all links: struct netconfmsg. */
  static NetlinkMessage getParameters(int family) {
    var message = new NetlinkMessage("get parameters of all links", RtNetlink.RTM_GETNETCONF, 0);
    return message
        .u8(family)
        .u8(0)
        .u16(0)
        .u32(IfLink.NETCONFA_IFINDEX, IfLink.NETCONFA_IFINDEX_ALL);
  }
}
