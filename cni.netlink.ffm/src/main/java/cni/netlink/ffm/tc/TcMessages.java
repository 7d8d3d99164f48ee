// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.tc;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkRequest;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Writes and reads the structures that all traffic control messages have in common. */
final class TcMessages {
  /** sizeof(struct tcmsg): family u8, padding, link s32, handle u32, parent u32, info u32. */
  private static final int TCMSG = 20;

  private static final long MAX_U32 = 0xffff_ffffL;

  private TcMessages() {}

  /** Begins a request that creates an object. It fails with EEXIST if there is one. */
  static NetlinkRequest createRequest(
      String description, int type, int link, int handle, int parent, int info) {
    int flags = NetlinkConstants.NLM_F_CREATE | NetlinkConstants.NLM_F_EXCL;
    return tcmsg(new NetlinkRequest(description, type, flags), link, handle, parent, info);
  }

  /** Begins a request that changes an object in place. It fails with ENOENT if there is none. */
  static NetlinkRequest changeRequest(
      String description, int type, int link, int handle, int parent) {
    return tcmsg(new NetlinkRequest(description, type, 0), link, handle, parent, 0);
  }

  /** Appends struct tcmsg. */
  static NetlinkRequest tcmsg(NetlinkRequest request, int link, int handle, int parent, int info) {
    return request.u8(0).u8(0).u16(0).u32(link).u32(handle).u32(parent).u32(info);
  }

  /** Reads the attributes that follow struct tcmsg. */
  static Attributes attributes(ByteBuffer message) throws MalformedMessageException {
    if (message.limit() < TCMSG) {
      throw new MalformedMessageException("a tc message of " + message.limit() + " bytes");
    }
    return Attributes.read(message.slice(TCMSG, message.limit() - TCMSG).order(message.order()));
  }

  /**
   * Writes struct tc_ratespec: cell_log u8, linklayer u8, overhead u16, cell_align s16, mpu u16,
   * rate u32. A rate that does not fit is written as the greatest number.
   */
  static void writeRate(ByteBuffer buffer, int linkLayer, long bytesPerSecond) {
    buffer.put((byte) 0).put((byte) linkLayer).putShort((short) 0).putShort((short) 0);
    buffer.putShort((short) 0).putInt((int) Math.min(bytesPerSecond, MAX_U32));
  }

  /**
   * Reads the rate of struct tc_ratespec in the options of a qdisc or class.
   *
   * @param offset the offset of the structure
   * @param rate64 the attribute that has the rate if it does not fit into the structure
   */
  static long readRate(ByteBuffer parameters, int offset, Attributes options, int rate64) {
    return options
        .bytes(rate64)
        .filter(value -> value.length >= Long.BYTES)
        .map(value -> ByteBuffer.wrap(value).order(ByteOrder.nativeOrder()).getLong())
        .orElseGet(() -> Integer.toUnsignedLong(parameters.getInt(offset + 8)));
  }

  /** Returns whether a rate does not fit into struct tc_ratespec. */
  static boolean exceeds32Bits(long bytesPerSecond) {
    return bytesPerSecond > MAX_U32;
  }
}
