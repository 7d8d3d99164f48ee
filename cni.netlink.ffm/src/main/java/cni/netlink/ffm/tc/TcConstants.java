package cni.netlink.ffm.tc;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkRequest;
import java.nio.ByteBuffer;

/** Constants of linux/rtnetlink.h, pkt_sched.h and pkt_cls.h, and the header of the messages. */
public final class TcConstants {
  static final int RTM_NEWQDISC = 36;
  static final int RTM_DELQDISC = 37;
  static final int RTM_GETQDISC = 38;
  static final int RTM_NEWTCLASS = 40;
  static final int RTM_NEWTFILTER = 44;
  static final int RTM_GETTFILTER = 46;

  static final int TCA_KIND = 1;
  static final int TCA_OPTIONS = 2;

  /** The parent of a link's own qdisc. */
  public static final int ROOT = 0xffff_ffff;

  /** The parent of a link's qdisc for what comes in. */
  public static final int INGRESS = 0xffff_fff1;

  /** The handle of a link's qdisc for what comes in. */
  public static final int INGRESS_HANDLE = 0xffff_0000;

  /** Every protocol, ETH_P_ALL of linux/if_ether.h. */
  public static final int ALL_PROTOCOLS = 0x0003;

  /** IPv4, ETH_P_IP. */
  public static final int IPV4 = 0x0800;

  /** IPv6, ETH_P_IPV6. */
  public static final int IPV6 = 0x86dd;

  /** sizeof(struct tcmsg): family u8, padding, link s32, handle u32, parent u32, info u32. */
  private static final int TCMSG = 20;

  private TcConstants() {}

  /** The handle that tc writes {@code major:minor}, both in hexadecimal. */
  public static int handle(int major, int minor) {
    return major << 16 | minor;
  }

  /** A request that creates. */
  static NetlinkRequest createRequest(
      String what, int type, int link, int handle, int parent, int info) {
    var message =
        new NetlinkRequest(what, type, NetlinkConstants.NLM_F_CREATE | NetlinkConstants.NLM_F_EXCL);
    return header(message, link, handle, parent, info);
  }

  static NetlinkRequest header(NetlinkRequest message, int link, int handle, int parent, int info) {
    return message.u8(0).u8(0).u16(0).u32(link).u32(handle).u32(parent).u32(info);
  }

  static Attributes attributes(ByteBuffer message) throws MalformedMessageException {
    if (message.limit() < TCMSG) {
      throw new MalformedMessageException("a tc message of " + message.limit() + " bytes");
    }
    return Attributes.read(message.slice(TCMSG, message.limit() - TCMSG).order(message.order()));
  }

  /** struct tc_ratespec: cell_log u8, linklayer u8, overhead u16, cell_align s16, mpu u16, rate. */
  static void writeRate(ByteBuffer buffer, int linkLayer, long bytesPerSecond) {
    buffer.put((byte) 0).put((byte) linkLayer).putShort((short) 0).putShort((short) 0);
    buffer.putShort((short) 0).putInt((int) Math.min(bytesPerSecond, 0xffff_ffffL));
  }

  /** Whether a rate does not fit into struct tc_ratespec. */
  static boolean exceeds32Bits(long bytesPerSecond) {
    return bytesPerSecond > 0xffff_ffffL;
  }
}
