// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

/**
 * Constants of linux/netfilter/nfnetlink_conntrack.h, and of the kernel's
 * net/netfilter/nf_internals.h.
 */
final class ConntrackConstants {
  static final int NFNL_SUBSYS_CTNETLINK = 1;
  static final int IPCTNL_MSG_CT_GET = 1;
  static final int IPCTNL_MSG_CT_DELETE = 2;
  static final int IPCTNL_MSG_CT_GET_STATS = 5;

  static final int CTA_TUPLE_ORIG = 1;
  static final int CTA_TUPLE_REPLY = 2;
  static final int CTA_ZONE = 18;
  static final int CTA_FILTER = 25;
  static final int CTA_FILTER_ORIG_FLAGS = 1;
  static final int CTA_FILTER_REPLY_FLAGS = 2;
  static final int CTA_STATS_GLOBAL_ENTRIES = 1;

  // tuples
  static final int CTA_TUPLE_IP = 1;
  static final int CTA_IP_V4_SRC = 1;
  static final int CTA_IP_V4_DST = 2;
  static final int CTA_IP_V6_SRC = 3;
  static final int CTA_IP_V6_DST = 4;
  static final int CTA_TUPLE_PROTO = 2;
  static final int CTA_PROTO_NUM = 1;
  static final int CTA_PROTO_SRC_PORT = 2;
  static final int CTA_PROTO_DST_PORT = 3;

  // what a filter compares (nf_internals.h)
  static final int CTA_FILTER_F_CTA_IP_SRC = 1;
  static final int CTA_FILTER_F_CTA_IP_DST = 1 << 1;
  static final int CTA_FILTER_F_CTA_PROTO_NUM = 1 << 3;
  static final int CTA_FILTER_F_CTA_PROTO_SRC_PORT = 1 << 4;
  static final int CTA_FILTER_F_CTA_PROTO_DST_PORT = 1 << 5;

  private ConntrackConstants() {}
}
