// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static cni.netlink.ffm.route.RtnetlinkConstants.RTA_DST;
import static cni.netlink.ffm.route.RtnetlinkConstants.RTA_IIF;
import static cni.netlink.ffm.route.RtnetlinkConstants.RTA_SRC;
import static cni.netlink.ffm.route.RtnetlinkConstants.RTM_GETROUTE;

import cni.netlink.ffm.NetlinkRequest;
import java.net.InetAddress;
import java.util.Optional;

/**
 * A question for the kernel's routing decision about one packet, as {@code ip route get} asks it.
 *
 * <p>The kernel answers with an error where it would discard the packet: ENETUNREACH if there is no
 * route, EHOSTUNREACH for a route of type unreachable or if an IPv4 packet came in by a link and
 * the kernel does not forward, EACCES for type prohibit, EINVAL for type blackhole or for an
 * address that may not come in by that link, EXDEV if the reverse path filter rejects the source.
 *
 * @param destination the destination address
 * @param source the source address; empty for a packet that has none yet. A packet that came in by
 *     a link has one
 * @param inputLink the index of the link that the packet came in by; 0 for a packet of the
 *     namespace's own
 */
public record RouteLookup(InetAddress destination, Optional<InetAddress> source, int inputLink) {
  /** Returns the lookup for a packet that the namespace itself sends. */
  public static RouteLookup output(InetAddress destination, Optional<InetAddress> source) {
    return new RouteLookup(destination, source, 0);
  }

  /** Returns the lookup for a packet that came in by a link. */
  public static RouteLookup input(InetAddress source, InetAddress destination, int link) {
    return new RouteLookup(destination, Optional.of(source), link);
  }

  /** Returns the request; struct rtmsg and its attributes. */
  NetlinkRequest request() {
    String description = "get the route to " + destination.getHostAddress();
    int bits = IpFamily.of(destination).addressBits();
    var message = new NetlinkRequest(description, RTM_GETROUTE, 0);
    message.u8(IpFamily.of(destination).number()).u8(bits).u8(source.isPresent() ? bits : 0).u8(0);
    message.u8(0).u8(0).u8(0).u8(0).u32(0);
    message.bytes(RTA_DST, destination.getAddress());
    source.ifPresent(address -> message.bytes(RTA_SRC, address.getAddress()));
    if (inputLink != 0) {
      message.u32(RTA_IIF, inputLink);
    }
    return message;
  }
}
