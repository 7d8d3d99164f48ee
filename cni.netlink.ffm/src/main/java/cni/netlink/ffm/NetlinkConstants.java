// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm;

/** Constants of linux/netlink.h, netlink(7). */
public final class NetlinkConstants {
  /** Address family (sys/socket.h). */
  public static final int AF_NETLINK = 16;

  /** Protocol: links, addresses, routes, neighbours, rules, traffic control. */
  public static final int NETLINK_ROUTE = 0;

  /** Protocol: nf_tables, connection tracking. */
  public static final int NETLINK_NETFILTER = 12;

  // nlmsg_type
  public static final int NLMSG_NOOP = 1;
  public static final int NLMSG_ERROR = 2;
  public static final int NLMSG_DONE = 3;
  public static final int NLMSG_OVERRUN = 4;

  // nlmsg_flags of every message
  public static final int NLM_F_REQUEST = 0x01;
  public static final int NLM_F_MULTI = 0x02;
  public static final int NLM_F_ACK = 0x04;
  public static final int NLM_F_DUMP_INTR = 0x10;
  // nlmsg_flags of RTM_GET requests
  public static final int NLM_F_DUMP = 0x300;
  // nlmsg_flags of RTM_NEW requests
  public static final int NLM_F_REPLACE = 0x100;
  public static final int NLM_F_EXCL = 0x200;
  public static final int NLM_F_CREATE = 0x400;
  public static final int NLM_F_APPEND = 0x800;
  // nlmsg_flags of acknowledgements
  public static final int NLM_F_CAPPED = 0x100;
  public static final int NLM_F_ACK_TLVS = 0x200;

  // attributes of extended acknowledgements
  public static final int NLMSGERR_ATTR_MSG = 1;

  // nla_type
  public static final int NLA_TYPE_MASK = 0x3fff;

  /** Flag of nla_type: the attribute contains attributes. Only some parsers require it. */
  public static final int NLA_F_NESTED = 0x8000;

  // socket options, level SOL_NETLINK
  public static final int SOL_NETLINK = 270;
  public static final int NETLINK_ADD_MEMBERSHIP = 1;
  static final int NETLINK_LISTEN_ALL_NSID = 8;
  static final int NETLINK_CAP_ACK = 10;
  static final int NETLINK_EXT_ACK = 11;
  static final int NETLINK_GET_STRICT_CHK = 12;

  /** sizeof(struct sockaddr_nl): family u16, pad u16, port u32, groups u32. */
  public static final int SIZEOF_SOCKADDR_NL = 12;

  /** sizeof(struct nlmsghdr): length u32, type u16, flags u16, sequence u32, port u32. */
  public static final int NLMSG_HDRLEN = 16;

  /** sizeof(struct nlattr): length u16, type u16. */
  public static final int NLA_HDRLEN = 4;

  private NetlinkConstants() {}

  /** NLMSG_ALIGN and NLA_ALIGN: rounds up to a multiple of four. */
  public static int align(int length) {
    return (length + 3) & ~3;
  }

  /** The multicast group of changes of nf_tables, of linux/netfilter/nfnetlink.h. */
  public static final int NFNLGRP_NFTABLES = 7;

  /** The multicast group of traced packets, of linux/netfilter/nfnetlink.h. */
  public static final int NFNLGRP_NFTRACE = 9;
}
