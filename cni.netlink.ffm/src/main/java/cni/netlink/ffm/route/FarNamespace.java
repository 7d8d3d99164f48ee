package cni.netlink.ffm.route;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetNs;
import cni.netlink.ffm.NetlinkException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;

/**
 * Another namespace, seen from here by the number that it has here, without anybody entering it.
 * Needs Linux 5.0.
 */
public final class FarNamespace {
  private static final int RTGENMSG = 4;

  private final Rtnetlink here;
  private final int number;

  private FarNamespace(Rtnetlink here, int number) {
    this.here = here;
    this.number = number;
  }

  /**
   * Looks at another namespace; it gets a number if it has none yet, and keeps it as long as it
   * exists. From then on {@link cni.netlink.ffm.NetlinkWatch} tells of it, too.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public static FarNamespace of(Rtnetlink here, NetNs other) throws IOException {
    int number = number(here, other);
    if (number == Link.NO_NAMESPACE) {
      here.executeUnless(LinkRequests.numberNamespace(other), Errno.EEXIST);
      number = number(here, other);
    }
    if (number == Link.NO_NAMESPACE) {
      throw new IOException(other + " cannot be given a number");
    }
    return new FarNamespace(here, number);
  }

  private static int number(Rtnetlink here, NetNs other) throws IOException {
    ByteBuffer answer = here.list(LinkRequests.getNamespace(other)).getFirst();
    return Messages.attributes(answer, RTGENMSG).u32(IfLink.NETNSA_NSID).orElse(Link.NO_NAMESPACE);
  }

  /**
   * The link with that name, if there is one.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public Optional<Link> link(String name) throws IOException {
    try {
      var request = LinkRequests.get(name).u32(IfLink.IFLA_TARGET_NETNSID, number);
      return Optional.of(Link.read(here.list(request).getFirst()));
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
    var request = InterfaceAddress.listRequest(link).u32(RtNetlink.IFA_TARGET_NETNSID, number);
    try {
      return Messages.readAll(here.list(request), InterfaceAddress::read);
    } catch (NetlinkException e) {
      if (e.is(Errno.ENODEV)) {
        return List.of();
      }
      throw e;
    }
  }
}
