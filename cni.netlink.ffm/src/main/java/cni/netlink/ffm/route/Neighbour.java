// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static cni.netlink.ffm.NetlinkConstants.NLM_F_CREATE;
import static cni.netlink.ffm.NetlinkConstants.NLM_F_DUMP;
import static cni.netlink.ffm.NetlinkConstants.NLM_F_REPLACE;
import static cni.netlink.ffm.route.RtnetlinkConstants.*;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkRequest;
import java.net.InetAddress;
import java.nio.ByteBuffer;

/**
 * A neighbour table entry: the hardware address behind an IP address on a link (struct ndmsg of
 * linux/neighbour.h).
 *
 * @param link the link's index
 * @param address the neighbour's IP address
 * @param mac its hardware address, lower case with colons; empty while it is unknown
 * @param state NUD_*
 */
public record Neighbour(int link, InetAddress address, String mac, int state) {
  /** sizeof(struct ndmsg): family u8, pad u8 u16, link s32, state u16, flags u8, type u8. */
  private static final int NDMSG = 12;

  /** Returns a request that adds the entry or replaces the one for the same address. */
  public NetlinkRequest replaceRequest() {
    return request("set", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE)
        .bytes(NDA_LLADDR, Mac.parse(mac));
  }

  /**
   * Returns a request that makes the kernel resolve the address by ARP or neighbour discovery, as
   * if a packet were to be sent to it (NTF_USE, neigh_add in net/core/neighbour.c). The outcome is
   * the state of the entry: {@code NUD_INCOMPLETE} until there is an answer.
   */
  public static NetlinkRequest resolveRequest(int link, InetAddress address) {
    String description = "resolve neighbour " + address.getHostAddress() + " of link " + link;
    return ndmsg(
            new NetlinkRequest(description, RTM_NEWNEIGH, NLM_F_CREATE),
            IpFamily.of(address).number(),
            link,
            0,
            NTF_USE)
        .bytes(NDA_DST, address.getAddress());
  }

  /** Whether no answer has come yet. */
  public boolean isIncomplete() {
    return (state & NUD_INCOMPLETE) != 0;
  }

  /** Whether the neighbour has answered, now or earlier, or is configured. */
  public boolean isResolved() {
    return (state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)) != 0;
  }

  /** Returns a request that deletes the entry. It fails with ENOENT if there is none. */
  public NetlinkRequest deleteRequest() {
    return request("delete", RTM_DELNEIGH, 0);
  }

  /**
   * Returns a request that deletes a hardware address, in all VLANs, from the forwarding database
   * of the bridge that a link is a port of. It fails with ENOENT if the bridge does not know the
   * address at that port.
   */
  public static NetlinkRequest deleteForwardingRequest(int port, String mac) {
    String description = "delete " + mac + " at bridge port " + port;
    var message = new NetlinkRequest(description, RTM_DELNEIGH, 0);
    return ndmsg(message, AF_BRIDGE, port, 0, NTF_MASTER).bytes(NDA_LLADDR, Mac.parse(mac));
  }

  private NetlinkRequest request(String verb, int type, int flags) {
    String description = verb + " neighbour " + address.getHostAddress() + " of link " + link;
    var message = new NetlinkRequest(description, type, flags);
    return ndmsg(message, IpFamily.of(address).number(), link, state, 0)
        .bytes(NDA_DST, address.getAddress());
  }

  /** Returns a request for the entries of a family on all links. */
  static NetlinkRequest listRequest(IpFamily family) {
    var message = new NetlinkRequest("list neighbours", RTM_GETNEIGH, NLM_F_DUMP);
    return ndmsg(message, family.number(), 0, 0, 0);
  }

  private static NetlinkRequest ndmsg(
      NetlinkRequest request, int family, int link, int state, int flags) {
    return request.u8(family).u8(0).u16(0).u32(link).u16(state).u8(flags).u8(0);
  }

  static Neighbour read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = RouteMessages.attributes(message, NDMSG);
    InetAddress address =
        RouteMessages.address(attributes, NDA_DST)
            .orElseThrow(() -> new MalformedMessageException("a neighbour without address"));
    return new Neighbour(
        message.getInt(4),
        address,
        attributes.bytes(NDA_LLADDR).map(Mac::format).orElse(""),
        Short.toUnsignedInt(message.getShort(8)));
  }
}
