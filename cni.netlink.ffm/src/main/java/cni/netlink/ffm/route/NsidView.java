// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;

/**
 * A read-only view of another network namespace through the socket of this one, without entering
 * the other. The kernel selects the other namespace by its nsid, the id that this namespace has
 * assigned to it (IFLA_TARGET_NETNSID, Linux 5.0 and later).
 */
public final class NsidView {
  private static final int RTGENMSG = 4;

  private final RouteSocket socket;
  private final int nsid;

  private NsidView(RouteSocket socket, int nsid) {
    this.socket = socket;
    this.nsid = nsid;
  }

  /**
   * Returns a view of another namespace. Assigns an nsid to it if it has none; the nsid lasts as
   * long as the other namespace. From then on {@link cni.netlink.ffm.NetlinkMonitor} reports events
   * of the other namespace, too.
   *
   * @param socket a socket of the namespace to look from
   * @param other the namespace to look at
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public static NsidView of(RouteSocket socket, NetNs other) throws IOException {
    int nsid = nsid(socket, other);
    if (nsid == Link.NSID_NOT_ASSIGNED) {
      socket.executeIgnoring(LinkRequests.assignNsid(other), Errno.EEXIST);
      nsid = nsid(socket, other);
    }
    if (nsid == Link.NSID_NOT_ASSIGNED) {
      throw new IOException("the kernel assigned no nsid to " + other);
    }
    return new NsidView(socket, nsid);
  }

  private static int nsid(RouteSocket socket, NetNs other) throws IOException {
    ByteBuffer response = socket.get(LinkRequests.getNsid(other));
    return readNsid(response);
  }

  /** Reads a response to {@link LinkRequests#getNsid}. */
  static int readNsid(ByteBuffer message) throws IOException {
    return RouteMessages.attributes(message, RTGENMSG)
        .u32(LinkConstants.NETNSA_NSID)
        .orElse(Link.NSID_NOT_ASSIGNED);
  }

  /**
   * Returns the link with the given name in the other namespace; empty if there is none.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public Optional<Link> link(String name) throws IOException {
    try {
      var request = LinkRequests.get(name).u32(LinkConstants.IFLA_TARGET_NETNSID, nsid);
      return Optional.of(Link.read(socket.get(request)));
    } catch (NetlinkException e) {
      if (e.is(Errno.ENODEV)) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /**
   * Returns all links of the other namespace.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<Link> links() throws IOException {
    var request = LinkRequests.list().u32(LinkConstants.IFLA_TARGET_NETNSID, nsid);
    return RouteMessages.readAll(socket.query(request), Link::read);
  }

  /**
   * Returns the IPv4 and IPv6 addresses of a link of the other namespace; empty if there is no such
   * link.
   *
   * @param link the link's index
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<InterfaceAddress> addresses(int link) throws IOException {
    var request =
        InterfaceAddress.listRequest(link).u32(RtnetlinkConstants.IFA_TARGET_NETNSID, nsid);
    try {
      return RouteMessages.readAll(socket.query(request), InterfaceAddress::read);
    } catch (NetlinkException e) {
      if (e.is(Errno.ENODEV)) {
        return List.of();
      }
      throw e;
    }
  }
}
