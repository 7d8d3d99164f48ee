package cni.netlink.ffm.route;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;

/**
 * Another namespace, seen from here by the number that it has here, without anybody entering it.
 * Needs Linux 5.0.
 */
public final class NsidView {
  private static final int RTGENMSG = 4;

  private final RouteSocket socket;
  private final int nsid;

  private NsidView(RouteSocket here, int number) {
    this.socket = here;
    this.nsid = number;
  }

  /**
   * Looks at another namespace; it gets a number if it has none yet, and keeps it as long as it
   * exists. From then on {@link cni.netlink.ffm.NetlinkMonitor} tells of it, too.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public static NsidView of(RouteSocket here, NetNs other) throws IOException {
    int number = nsid(here, other);
    if (number == Link.NSID_NOT_ASSIGNED) {
      here.executeIgnoring(LinkRequests.assignNsid(other), Errno.EEXIST);
      number = nsid(here, other);
    }
    if (number == Link.NSID_NOT_ASSIGNED) {
      throw new IOException(other + " cannot be given a number");
    }
    return new NsidView(here, number);
  }

  private static int nsid(RouteSocket here, NetNs other) throws IOException {
    ByteBuffer answer = here.query(LinkRequests.getNsid(other)).getFirst();
    return RouteMessages.attributes(answer, RTGENMSG)
        .u32(LinkConstants.NETNSA_NSID)
        .orElse(Link.NSID_NOT_ASSIGNED);
  }

  /**
   * The link with that name, if there is one.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public Optional<Link> link(String name) throws IOException {
    try {
      var request = LinkRequests.get(name).u32(LinkConstants.IFLA_TARGET_NETNSID, nsid);
      return Optional.of(Link.read(socket.query(request).getFirst()));
    } catch (NetlinkException e) {
      if (e.is(Errno.ENODEV)) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /**
   * The addresses of a link, both families.
   *
   * @throws IOException if the kernel cannot be asked
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
