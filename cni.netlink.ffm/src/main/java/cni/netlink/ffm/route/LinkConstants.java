// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

/** Constants of linux/if_link.h, linux/if.h, linux/if_bridge.h, linux/veth.h and others. */
public final class LinkConstants {
  // attributes of a link
  public static final int IFLA_ADDRESS = 1;
  public static final int IFLA_IFNAME = 3;
  public static final int IFLA_MTU = 4;
  public static final int IFLA_LINK = 5;
  public static final int IFLA_MASTER = 10;
  public static final int IFLA_TXQLEN = 13;
  public static final int IFLA_OPERSTATE = 16;
  public static final int IFLA_LINKINFO = 18;
  public static final int IFLA_IFALIAS = 20;
  public static final int IFLA_STATS64 = 23;
  public static final int IFLA_AF_SPEC = 26;
  public static final int IFLA_GROUP = 27;
  public static final int IFLA_NET_NS_FD = 28;
  public static final int IFLA_EXT_MASK = 29;
  public static final int IFLA_PROMISCUITY = 30;
  public static final int IFLA_NUM_TX_QUEUES = 31;
  public static final int IFLA_NUM_RX_QUEUES = 32;
  public static final int IFLA_LINK_NETNSID = 37;
  public static final int IFLA_TARGET_NETNSID = 46;
  public static final int IFLA_ALT_IFNAME = 53;
  public static final int IFLA_PERM_ADDRESS = 54;

  // attributes in IFLA_AF_SPEC, one for each family
  static final int IFLA_INET_CONF = 1;
  static final int IFLA_INET6_CONF = 2;

  // attributes in IFLA_INET_CONF (linux/ip.h), and indexes in IFLA_INET6_CONF (linux/ipv6.h)
  static final int IPV4_DEVCONF_FORWARDING = 1;
  static final int IPV4_DEVCONF_PROMOTE_SECONDARIES = 20;
  static final int IPV4_DEVCONF_ARP_NOTIFY = 22;
  static final int IPV4_DEVCONF_ROUTE_LOCALNET = 26;
  static final int DEVCONF_ACCEPT_RA = 3;

  // attributes of a family's parameters, linux/netconf.h
  static final int NETCONFA_IFINDEX = 1;
  static final int NETCONFA_FORWARDING = 2;
  static final int NETCONFA_IFINDEX_ALL = -1;

  // attributes of an nsid message, linux/net_namespace.h
  static final int NETNSA_NSID = 1;
  static final int NETNSA_FD = 3;

  /**
   * The length of the longest name in bytes, without its terminating zero (IFNAMSIZ - 1 of
   * linux/if.h). An alternative name may be longer.
   */
  public static final int MAX_NAME_LENGTH = 15;

  // attributes in IFLA_INFO_DATA of links with a parent link
  public static final int IFLA_VLAN_ID = 1;
  public static final int IFLA_IPVLAN_MODE = 1;
  public static final int IFLA_IPVLAN_FLAGS = 2;
  public static final int IFLA_MACVLAN_MODE = 1;
  public static final int IFLA_MACVLAN_BC_QUEUE_LEN = 7;

  // modes of a macvlan
  public static final int MACVLAN_MODE_PRIVATE = 1;
  public static final int MACVLAN_MODE_VEPA = 2;
  public static final int MACVLAN_MODE_BRIDGE = 4;
  public static final int MACVLAN_MODE_PASSTHRU = 8;

  // modes of an ipvlan
  public static final int IPVLAN_MODE_L2 = 0;
  public static final int IPVLAN_MODE_L3 = 1;
  public static final int IPVLAN_MODE_L3S = 2;

  // attributes in IFLA_LINKINFO
  public static final int IFLA_INFO_KIND = 1;
  public static final int IFLA_INFO_DATA = 2;
  public static final int IFLA_INFO_SLAVE_KIND = 4;
  public static final int IFLA_INFO_SLAVE_DATA = 5;

  // attributes in IFLA_INFO_DATA
  public static final int VETH_INFO_PEER = 1;
  public static final int IFLA_VRF_TABLE = 1;
  public static final int IFLA_BR_VLAN_FILTERING = 7;
  public static final int IFLA_BR_NF_CALL_IPTABLES = 36;
  public static final int IFLA_BR_NF_CALL_IP6TABLES = 37;

  // attributes in IFLA_INFO_SLAVE_DATA of a bridge port
  public static final int IFLA_BRPORT_MODE = 4;
  public static final int IFLA_BRPORT_ISOLATED = 33;

  // attributes in IFLA_AF_SPEC of family AF_BRIDGE
  public static final int IFLA_BRIDGE_FLAGS = 0;
  public static final int IFLA_BRIDGE_VLAN_INFO = 2;
  public static final int BRIDGE_FLAGS_MASTER = 1;

  // struct bridge_vlan_info: flags u16, vid u16
  public static final int BRIDGE_VLAN_INFO_PVID = 1 << 1;
  public static final int BRIDGE_VLAN_INFO_UNTAGGED = 1 << 2;
  public static final int BRIDGE_VLAN_INFO_RANGE_BEGIN = 1 << 3;
  public static final int BRIDGE_VLAN_INFO_RANGE_END = 1 << 4;

  // IFLA_EXT_MASK
  public static final int RTEXT_FILTER_BRVLAN = 1 << 1;
  public static final int RTEXT_FILTER_SKIP_STATS = 1 << 3;

  // ifi_flags
  public static final int IFF_UP = 0x1;
  public static final int IFF_PROMISC = 0x100;
  public static final int IFF_ALLMULTI = 0x200;

  private LinkConstants() {}
}
