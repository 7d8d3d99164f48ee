// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static cni.netlink.ffm.NetlinkConstants.NLM_F_DUMP;
import static cni.netlink.ffm.route.LinkConstants.*;
import static cni.netlink.ffm.route.RtnetlinkConstants.*;

import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.netns.NetNs;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.Consumer;

/**
 * Builds requests about links. {@link RouteSocket} sends them, one at a time or several in a batch.
 * Parameters named {@code index} are interface indexes. Unless a method says otherwise, a request
 * fails with ENODEV if there is no such link.
 */
public final class LinkRequests {
  private LinkRequests() {}

  /** Appends struct ifinfomsg of linux/rtnetlink.h. */
  static NetlinkRequest ifinfomsg(
      NetlinkRequest message, int family, int index, int flags, int change) {
    return message.u8(family).u8(0).u16(0).u32(index).u32(flags).u32(change);
  }

  private static NetlinkRequest change(String description, int index, int flags, int change) {
    var message = new NetlinkRequest(description, RTM_NEWLINK, 0);
    return ifinfomsg(message, AF_UNSPEC, index, flags, change);
  }

  /** Returns a request for the link with a name or alternative name. */
  public static NetlinkRequest get(String name) {
    return named(withoutStatistics(unnamed(name)), name);
  }

  /** Returns the request of {@link #get(String)} for the link with its traffic counters. */
  static NetlinkRequest getWithStatistics(String name) {
    return named(unnamed(name), name);
  }

  private static NetlinkRequest unnamed(String name) {
    var message = new NetlinkRequest("get link \"" + name + "\"", RTM_GETLINK, 0);
    return ifinfomsg(message, AF_UNSPEC, 0, 0, 0);
  }

  private static NetlinkRequest named(NetlinkRequest message, String name) {
    boolean alternative = name.length() > MAX_NAME_LENGTH;
    return message.string(alternative ? IFLA_ALT_IFNAME : IFLA_IFNAME, name);
  }

  /** Returns a request for the link with an index. */
  public static NetlinkRequest get(int index) {
    var message = new NetlinkRequest("get link " + index, RTM_GETLINK, 0);
    return withoutStatistics(ifinfomsg(message, AF_UNSPEC, index, 0, 0));
  }

  /** Excludes the traffic counters, the largest part of what the kernel reports of a link. */
  private static NetlinkRequest withoutStatistics(NetlinkRequest message) {
    return message.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  }

  /** Returns a request for all links. */
  public static NetlinkRequest list() {
    var message = new NetlinkRequest("list links", RTM_GETLINK, NLM_F_DUMP);
    return withoutStatistics(ifinfomsg(message, AF_UNSPEC, 0, 0, 0));
  }

  /** Returns a request for the VLANs of the ports of all bridges. */
  public static NetlinkRequest listBridgeVlans() {
    var message = new NetlinkRequest("list bridge VLANs", RTM_GETLINK, NLM_F_DUMP);
    return ifinfomsg(message, AF_BRIDGE, 0, 0, 0).u32(IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN);
  }

  /** Returns a request that sets a link up. */
  public static NetlinkRequest setUp(int index) {
    return change("set link " + index + " up", index, IFF_UP, IFF_UP);
  }

  /**
   * Returns a request that enables {@code arp_notify}: the kernel announces the link's IPv4
   * addresses with gratuitous ARP when the link goes up.
   */
  public static NetlinkRequest enableArpNotify(int index) {
    return ipv4Setting("arp_notify", IPV4_DEVCONF_ARP_NOTIFY, index, 1);
  }

  /**
   * Returns a request that sets {@code route_localnet}: whether the kernel does not treat
   * 127.0.0.0/8 as martian on the link.
   */
  public static NetlinkRequest setRouteLocalnet(int index, boolean on) {
    return ipv4Setting("route_localnet", IPV4_DEVCONF_ROUTE_LOCALNET, index, on ? 1 : 0);
  }

  /**
   * Returns a request that sets {@code promote_secondaries}: whether the secondary addresses of an
   * IPv4 network stay when the primary one is deleted.
   */
  public static NetlinkRequest setPromoteSecondaries(int index, boolean on) {
    return ipv4Setting("promote_secondaries", IPV4_DEVCONF_PROMOTE_SECONDARIES, index, on ? 1 : 0);
  }

  /**
   * Returns a request that sets {@code forwarding} for IPv4: whether packets that come in by the
   * link are forwarded.
   */
  public static NetlinkRequest setIpv4Forwarding(int index, boolean on) {
    return ipv4Setting("forwarding", IPV4_DEVCONF_FORWARDING, index, on ? 1 : 0);
  }

  /** Needs no /proc/sys, which may be read-only. */
  private static NetlinkRequest ipv4Setting(String name, int setting, int index, int value) {
    return change("set " + name + " of link " + index, index, 0, 0)
        .nest(
            IFLA_AF_SPEC,
            families ->
                families.nest(
                    AF_INET, inet -> inet.nest(IFLA_INET_CONF, conf -> conf.u32(setting, value))));
  }

  /** Returns a request that sets a link down. */
  public static NetlinkRequest setDown(int index) {
    return change("set link " + index + " down", index, 0, IFF_UP);
  }

  /** Returns a request that sets a link into promiscuous mode. */
  public static NetlinkRequest setPromiscuous(int index) {
    int promisc = IFF_PROMISC;
    return change("set link " + index + " promiscuous", index, promisc, promisc);
  }

  /** Returns a request that sets a link's alias, up to 255 bytes. */
  public static NetlinkRequest setAlias(int index, String alias) {
    return change("set alias of link " + index, index, 0, 0)
        .unterminatedString(IFLA_IFALIAS, alias);
  }

  /** Returns the request of {@link #setAlias(int, String)} for the link with a name. */
  public static NetlinkRequest setAlias(String name, String alias) {
    return change("set alias of link " + name, 0, 0, 0)
        .string(IFLA_IFNAME, name)
        .unterminatedString(IFLA_IFALIAS, alias);
  }

  /**
   * Returns a request that sets a link's hardware address.
   *
   * @throws IllegalArgumentException if the address is malformed, see {@link Mac#parse}
   */
  public static NetlinkRequest setMac(int index, String mac) {
    return change("set address " + mac + " of link " + index, index, 0, 0)
        .bytes(IFLA_ADDRESS, Mac.parse(mac));
  }

  /**
   * Returns a request that adds a link to a bridge or bond, or with 0 removes it from its master.
   */
  public static NetlinkRequest setMaster(int index, int master) {
    return change("set master " + master + " of link " + index, index, 0, 0)
        .u32(IFLA_MASTER, master);
  }

  /** Returns a request that puts a link into a group. */
  public static NetlinkRequest setGroup(int index, int group) {
    return change("set group " + group + " of link " + index, index, 0, 0).u32(IFLA_GROUP, group);
  }

  /**
   * Returns a request that sets the modes of a bridge port.
   *
   * @param hairpin whether packets may leave by the port that they came in by
   * @param isolated whether the port exchanges no packets with other isolated ports
   */
  public static NetlinkRequest setBridgePort(int index, boolean hairpin, boolean isolated) {
    return port(
        "set bridge port " + index,
        index,
        port ->
            port.u8(IFLA_BRPORT_MODE, hairpin ? 1 : 0).u8(IFLA_BRPORT_ISOLATED, isolated ? 1 : 0));
  }

  /**
   * Returns a request that sets the hairpin mode of a bridge port: whether packets may leave by the
   * port that they came in by.
   */
  public static NetlinkRequest setHairpin(int index, boolean on) {
    String description = "set hairpin mode of bridge port " + index;
    return port(description, index, port -> port.u8(IFLA_BRPORT_MODE, on ? 1 : 0));
  }

  private static NetlinkRequest port(
      String description, int index, Consumer<NetlinkRequest> settings) {
    return change(description, index, 0, 0)
        .nest(
            IFLA_LINKINFO,
            info ->
                info.unterminatedString(IFLA_INFO_SLAVE_KIND, "bridge")
                    .nest(IFLA_INFO_SLAVE_DATA, settings));
  }

  /** Returns a request that sets whether a bridge filters packets by the VLANs of its ports. */
  public static NetlinkRequest setVlanFiltering(int index, boolean on) {
    return bridge(
        "set vlan_filtering of bridge " + index,
        index,
        data -> data.u8(IFLA_BR_VLAN_FILTERING, on ? 1 : 0));
  }

  /**
   * Returns a request that sets whether packets that a bridge forwards pass the hooks of IP. It has
   * no effect before br_netfilter is loaded; a kernel that is built without it ignores it.
   */
  public static NetlinkRequest setBridgeFiltering(int index, boolean on) {
    int value = on ? 1 : 0;
    return bridge(
        "set nf_call_iptables and nf_call_ip6tables of bridge " + index,
        index,
        data -> data.u8(IFLA_BR_NF_CALL_IPTABLES, value).u8(IFLA_BR_NF_CALL_IP6TABLES, value));
  }

  private static NetlinkRequest bridge(
      String description, int index, Consumer<NetlinkRequest> settings) {
    return change(description, index, 0, 0)
        .nest(
            IFLA_LINKINFO,
            info ->
                info.unterminatedString(IFLA_INFO_KIND, "bridge").nest(IFLA_INFO_DATA, settings));
  }

  /**
   * Returns a request that sets the mode of a macvlan. It fails with EINVAL from and to {@code
   * MACVLAN_MODE_PASSTHRU}, which is only possible at creation (macvlan_changelink in
   * drivers/net/macvlan.c).
   *
   * @param mode MACVLAN_MODE_*
   */
  public static NetlinkRequest setMacvlanMode(int index, int mode) {
    return change("set mode " + mode + " of macvlan " + index, index, 0, 0)
        .nest(
            IFLA_LINKINFO,
            info ->
                info.unterminatedString(IFLA_INFO_KIND, "macvlan")
                    .nest(IFLA_INFO_DATA, data -> data.u32(IFLA_MACVLAN_MODE, mode)));
  }

  /** Returns a request that adds a VLAN to a bridge port, or changes its flags. */
  public static NetlinkRequest addVlan(int index, BridgeVlan vlan) {
    var message =
        new NetlinkRequest("add VLAN " + vlan.id() + " to bridge port " + index, RTM_SETLINK, 0);
    return vlan(message, index, vlan.id(), vlan.flags());
  }

  /** Returns a request that removes a VLAN from a bridge port. */
  public static NetlinkRequest deleteVlan(int index, int vlan) {
    var message =
        new NetlinkRequest("delete VLAN " + vlan + " from bridge port " + index, RTM_DELLINK, 0);
    return vlan(message, index, vlan, 0);
  }

  private static NetlinkRequest vlan(NetlinkRequest message, int index, int vlan, int flags) {
    ByteBuffer info = ByteBuffer.allocate(4).order(ByteOrder.nativeOrder());
    info.putShort((short) flags).putShort((short) vlan);
    return ifinfomsg(message, AF_BRIDGE, index, 0, 0)
        .nest(
            IFLA_AF_SPEC,
            spec ->
                spec.u16(IFLA_BRIDGE_FLAGS, BRIDGE_FLAGS_MASTER)
                    .bytes(IFLA_BRIDGE_VLAN_INFO, info.array()));
  }

  /** Returns a request that deletes a link, and with a veth its peer. */
  public static NetlinkRequest delete(int index) {
    var message = new NetlinkRequest("delete link " + index, RTM_DELLINK, 0);
    return ifinfomsg(message, AF_UNSPEC, index, 0, 0);
  }

  /** Returns a request that deletes the link with a name. */
  public static NetlinkRequest delete(String name) {
    var message = new NetlinkRequest("delete link \"" + name + "\"", RTM_DELLINK, 0);
    return ifinfomsg(message, AF_UNSPEC, 0, 0, 0).string(IFLA_IFNAME, name);
  }

  /**
   * Returns a request that deletes every link of a group. The kernel waits for all of them at once,
   * so it takes hardly longer than deleting one link. It fails with EOPNOTSUPP if the group has a
   * link that cannot be deleted, with ENODEV if it has none.
   */
  public static NetlinkRequest deleteGroup(int group) {
    var message = new NetlinkRequest("delete link group " + group, RTM_DELLINK, 0);
    return ifinfomsg(message, AF_UNSPEC, 0, 0, 0).u32(IFLA_GROUP, group);
  }

  /** Returns a request for the nsid of another namespace: struct rtgenmsg of linux/rtnetlink.h. */
  static NetlinkRequest getNsid(NetNs other) {
    var message = new NetlinkRequest("get nsid of " + other, RTM_GETNSID, 0);
    return message.u8(AF_UNSPEC).u8(0).u16(0).u32(NETNSA_FD, other.fd());
  }

  /**
   * Returns a request that assigns an nsid to another namespace. It fails with EEXIST if it has
   * one.
   */
  static NetlinkRequest assignNsid(NetNs other) {
    var message = new NetlinkRequest("assign an nsid to " + other, RTM_NEWNSID, 0);
    return message
        .u8(AF_UNSPEC)
        .u8(0)
        .u16(0)
        .u32(NETNSA_NSID, Link.NSID_NOT_ASSIGNED)
        .u32(NETNSA_FD, other.fd());
  }

  /**
   * Returns a request for a family's parameters of all links: struct netconfmsg of linux/netconf.h.
   */
  static NetlinkRequest getNetconf(IpFamily family) {
    var message = new NetlinkRequest("get parameters of all links", RTM_GETNETCONF, 0);
    return message.u8(family.number()).u8(0).u16(0).u32(NETCONFA_IFINDEX, NETCONFA_IFINDEX_ALL);
  }
}
