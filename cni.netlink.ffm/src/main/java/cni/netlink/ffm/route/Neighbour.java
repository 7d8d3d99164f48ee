package cni.netlink.ffm.route;

import static cni.netlink.ffm.NetlinkConstants.NLM_F_CREATE;
import static cni.netlink.ffm.NetlinkConstants.NLM_F_DUMP;
import static cni.netlink.ffm.NetlinkConstants.NLM_F_REPLACE;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkRequest;
import java.net.InetAddress;
import java.nio.ByteBuffer;

/**
 * What a link knows of a neighbour: the hardware address behind an IP address (struct ndmsg of
 * linux/neighbour.h).
 *
 * @param link the link's index
 * @param address the neighbour's address
 * @param mac its hardware address, empty while it is not known
 * @param state NUD_*
 */
public record Neighbour(int link, InetAddress address, String mac, int state) {
  /** sizeof(struct ndmsg): family u8, pad u8 u16, link s32, state u16, flags u8, type u8. */
  private static final int NDMSG = 12;

  /** The request that has the link know it, in place of what it knew before. */
  public NetlinkRequest replaceRequest() {
    return request("set", RtnetlinkConstants.RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE)
        .bytes(RtnetlinkConstants.NDA_LLADDR, Mac.parse(mac));
  }

  /** The request that has the link forget it; ENOENT if it does not know it. */
  public NetlinkRequest deleteRequest() {
    return request("delete", RtnetlinkConstants.RTM_DELNEIGH, 0);
  }

  private NetlinkRequest request(String verb, int type, int flags) {
    String what = verb + " neighbour " + address.getHostAddress() + " of link " + link;
    return new NetlinkRequest(what, type, flags)
        .u8(RouteMessages.family(address))
        .u8(0)
        .u16(0)
        .u32(link)
        .u16(state)
        .u8(0)
        .u8(0)
        .bytes(RtnetlinkConstants.NDA_DST, address.getAddress());
  }

  /** Asks for the neighbours of a family that all links know. */
  static NetlinkRequest listRequest(int family) {
    return new NetlinkRequest("list neighbours", RtnetlinkConstants.RTM_GETNEIGH, NLM_F_DUMP)
        .u8(family)
        .u8(0)
        .u16(0)
        .u32(0)
        .u16(0)
        .u8(0)
        .u8(0);
  }

  static Neighbour read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = RouteMessages.attributes(message, NDMSG);
    byte[] address =
        attributes
            .bytes(RtnetlinkConstants.NDA_DST)
            .orElseThrow(() -> new MalformedMessageException("a neighbour without address"));
    return new Neighbour(
        message.getInt(4),
        RouteMessages.address(address),
        attributes.bytes(RtnetlinkConstants.NDA_LLADDR).map(Mac::format).orElse(""),
        Short.toUnsignedInt(message.getShort(8)));
  }
}
