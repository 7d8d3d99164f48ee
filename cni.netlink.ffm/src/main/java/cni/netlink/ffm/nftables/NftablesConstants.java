// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

/** Constants of linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h and linux/netfilter.h. */
final class NftablesConstants {
  // nlmsg_type: the subsystem in the upper byte, the message in the lower
  static final int NFNL_MSG_BATCH_BEGIN = 0x10;
  static final int NFNL_MSG_BATCH_END = 0x11;
  static final int NFNL_SUBSYS_NFTABLES = 10;
  static final int NFT_MSG_NEWTABLE = 0;
  static final int NFT_MSG_GETTABLE = 1;
  static final int NFT_MSG_DELTABLE = 2;
  static final int NFT_MSG_NEWCHAIN = 3;
  static final int NFT_MSG_GETCHAIN = 4;
  static final int NFT_MSG_DELCHAIN = 5;
  static final int NFT_MSG_NEWRULE = 6;
  static final int NFT_MSG_GETRULE = 7;
  static final int NFT_MSG_DELRULE = 8;
  static final int NFT_MSG_NEWSET = 9;
  static final int NFT_MSG_GETSET = 10;
  static final int NFT_MSG_DELSET = 11;
  static final int NFT_MSG_NEWSETELEM = 12;
  static final int NFT_MSG_GETSETELEM = 13;
  static final int NFT_MSG_DELSETELEM = 14;
  static final int NFT_MSG_GETGEN = 16;
  static final int NFT_MSG_TRACE = 17;
  static final int NFT_MSG_NEWOBJ = 18;
  static final int NFT_MSG_GETOBJ = 19;
  static final int NFT_MSG_DELOBJ = 20;

  static final int NFNL_BATCH_GENID = 1;
  static final int NFTA_GEN_ID = 1;

  // tables
  static final int NFTA_TABLE_NAME = 1;
  static final int NFTA_TABLE_FLAGS = 2;
  static final int NFTA_TABLE_USERDATA = 6;
  static final int NFT_TABLE_F_DORMANT = 0x1;
  static final int NFT_TABLE_F_OWNER = 0x2;

  // chains
  static final int NFTA_CHAIN_TABLE = 1;
  static final int NFTA_CHAIN_NAME = 3;
  static final int NFTA_CHAIN_HOOK = 4;
  static final int NFTA_CHAIN_POLICY = 5;
  static final int NFTA_CHAIN_TYPE = 7;
  static final int NFTA_CHAIN_USERDATA = 12;
  static final int NFTA_HOOK_HOOKNUM = 1;
  static final int NFTA_HOOK_PRIORITY = 2;

  // rules
  static final int NFTA_RULE_TABLE = 1;
  static final int NFTA_RULE_CHAIN = 2;
  static final int NFTA_RULE_HANDLE = 3;
  static final int NFTA_RULE_EXPRESSIONS = 4;
  static final int NFTA_RULE_COMPAT = 5;
  static final int NFTA_RULE_POSITION = 6;
  static final int NFTA_RULE_USERDATA = 7;
  static final int NFTA_RULE_COMPAT_PROTO = 1;
  static final int NFTA_RULE_COMPAT_FLAGS = 2;
  static final int NFTA_LIST_ELEM = 1;
  static final int NFTA_EXPR_NAME = 1;
  static final int NFTA_EXPR_DATA = 2;

  // values
  static final int NFTA_DATA_VALUE = 1;
  static final int NFTA_DATA_VERDICT = 2;
  static final int NFTA_VERDICT_CODE = 1;
  static final int NFTA_VERDICT_CHAIN = 2;

  // sets
  static final int NFTA_SET_TABLE = 1;
  static final int NFTA_SET_NAME = 2;
  static final int NFTA_SET_FLAGS = 3;
  static final int NFTA_SET_KEY_TYPE = 4;
  static final int NFTA_SET_KEY_LEN = 5;
  static final int NFTA_SET_DATA_TYPE = 6;
  static final int NFTA_SET_DATA_LEN = 7;
  static final int NFTA_SET_DESC = 9;
  static final int NFTA_SET_ID = 10;
  static final int NFTA_SET_USERDATA = 13;
  static final int NFTA_SET_EXPR = 17;
  static final int NFTA_SET_DESC_SIZE = 1;
  static final int NFTA_SET_DESC_CONCAT = 2;
  static final int NFTA_SET_FIELD_LEN = 1;
  static final int NFT_DATA_VALUE_MAXLEN = 64;
  static final int NFT_DATA_VERDICT = 0xffffff00;
  static final int NFT_SET_ANONYMOUS = 0x1;
  static final int NFT_SET_CONSTANT = 0x2;
  static final int NFT_SET_INTERVAL = 0x4;
  static final int NFT_SET_MAP = 0x8;
  static final int NFT_SET_TIMEOUT = 0x10;
  static final int NFT_SET_CONCAT = 0x80;
  static final int NFTA_SET_ELEM_LIST_TABLE = 1;
  static final int NFTA_SET_ELEM_LIST_SET = 2;
  static final int NFTA_SET_ELEM_LIST_ELEMENTS = 3;
  static final int NFTA_SET_ELEM_LIST_SET_ID = 4;
  static final int NFTA_SET_ELEM_KEY = 1;
  static final int NFTA_SET_ELEM_DATA = 2;
  static final int NFTA_SET_ELEM_FLAGS = 3;
  static final int NFTA_SET_ELEM_TIMEOUT = 4;
  static final int NFTA_SET_ELEM_USERDATA = 6;
  static final int NFTA_SET_ELEM_EXPR = 7;
  static final int NFTA_SET_ELEM_KEY_END = 10;
  static final int NFT_SET_ELEM_INTERVAL_END = 0x1;

  // objects
  static final int NFTA_OBJ_TABLE = 1;
  static final int NFTA_OBJ_NAME = 2;
  static final int NFTA_OBJ_TYPE = 3;
  static final int NFTA_OBJ_DATA = 4;
  static final int NFT_LIMIT_PKT_BYTES = 1;
  static final int NFT_LIMIT_F_INV = 1;

  // traces of packets, enum nft_trace_attributes and nft_trace_types
  static final int NFTA_TRACE_TABLE = 1;
  static final int NFTA_TRACE_CHAIN = 2;
  static final int NFTA_TRACE_RULE_HANDLE = 3;
  static final int NFTA_TRACE_TYPE = 4;
  static final int NFTA_TRACE_VERDICT = 5;
  static final int NFTA_TRACE_ID = 6;
  static final int NFTA_TRACE_NETWORK_HEADER = 8;
  static final int NFTA_TRACE_TRANSPORT_HEADER = 9;
  static final int NFTA_TRACE_IIF = 10;
  static final int NFTA_TRACE_OIF = 12;
  static final int NFTA_TRACE_POLICY = 16;
  static final int NFT_TRACETYPE_POLICY = 1;
  static final int NFT_TRACETYPE_RETURN = 2;
  static final int NFT_TRACETYPE_RULE = 3;

  // verdicts (linux/netfilter.h and enum nft_verdicts)
  static final int NF_DROP = 0;
  static final int NF_ACCEPT = 1;
  static final int NFT_RETURN = -5;
  static final int NFT_JUMP = -3;
  static final int NFT_GOTO = -4;

  // registers of 16 bytes each, enum nft_registers
  static final int NFT_REG_VERDICT = 0;
  static final int NFT_REG_1 = 1;
  static final int NFT_REG_2 = 2;
  static final int NFT_REG32_00 = 8; // the first word of NFT_REG_1

  private NftablesConstants() {}
}
