// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkRequest;
import java.nio.ByteBuffer;

/** Writes and reads the header that all messages of NETLINK_NETFILTER have in common. */
final class NetfilterMessages {
  /** A family of messages that concern all families, NFPROTO_UNSPEC of linux/netfilter.h. */
  static final int NFPROTO_UNSPEC = 0;

  /** sizeof(struct nfgenmsg): family u8, version u8, resource be16. */
  private static final int NFGENMSG = 4;

  private NetfilterMessages() {}

  /**
   * Begins a request to nf_tables.
   *
   * @param description what the request does, for error messages
   * @param message NFT_MSG_*
   * @param flags NLM_F_*
   * @param family NFPROTO_*
   */
  static NetlinkRequest nftRequest(String description, int message, int flags, int family) {
    int type = NftablesConstants.NFNL_SUBSYS_NFTABLES << 8 | message;
    return nfgenmsg(new NetlinkRequest(description, type, flags), family, 0);
  }

  /** Appends struct nfgenmsg. */
  static NetlinkRequest nfgenmsg(NetlinkRequest request, int family, int resource) {
    return request.u8(family).u8(0).u8(resource >>> 8).u8(resource);
  }

  /** Returns the family of a message. */
  static int family(ByteBuffer message) {
    return Byte.toUnsignedInt(message.get(0));
  }

  /** Reads the attributes that follow struct nfgenmsg. */
  static Attributes attributes(ByteBuffer message) throws MalformedMessageException {
    if (message.limit() < NFGENMSG) {
      throw new MalformedMessageException("a netfilter message of " + message.limit() + " bytes");
    }
    return Attributes.read(
        message.slice(NFGENMSG, message.limit() - NFGENMSG).order(message.order()));
  }
}
