package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Result;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkSpec;
import cni.netlink.ffm.route.Mac;
import java.io.IOException;
import java.util.HexFormat;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;

/** Pairs of interfaces of which one is in the container and the other on the host. */
public final class VethPair {
  private static final int MAX_NAME_ATTEMPTS = 10;

  private VethPair() {}

  /**
   * A name for an interface on the host that is most likely free, of the form that the reference
   * plugins give: {@code veth} and eight hexadecimal digits.
   */
  public static String randomName() {
    return "veth" + HexFormat.of().toHexDigits(ThreadLocalRandom.current().nextInt());
  }

  /**
   * Deletes a pair by its end on the host, if that is still what a result says. It usually went
   * with the container's namespace; by now another may have its name.
   *
   * @throws IOException if the kernel refuses
   */
  public static void deleteByHostEnd(NetNsSession host, Result.Interface end) throws IOException {
    Optional<Link> link =
        end.isOnHost() && !end.mac().isEmpty()
            ? host.rtnetlink().link(end.name())
            : Optional.empty();
    if (link.isPresent() && link.get().isKind("veth") && link.get().mac().equals(end.mac())) {
      host.rtnetlink().executeIgnoring(LinkRequests.delete(link.get().index()), Errno.ENODEV);
    }
  }

  /**
   * Makes a pair. The end on the host is up, the other has the attachment's name and is down.
   *
   * @param mtu of both, 0 for the kernel's default
   * @param master what the end on the host joins, 0 for nothing
   * @param mac of the container's end; otherwise the kernel makes one up
   * @return the name of the end on the host
   * @throws CniException code 4 if the container has an interface of that name
   * @throws IOException if the kernel refuses
   */
  public static String create(
      AttachmentRequest request,
      NetNsSession host,
      NetNsSession sandbox,
      int mtu,
      int master,
      Optional<String> mac)
      throws CniException, IOException {
    for (int attempt = 1; ; attempt++) {
      String hostName = randomName();
      LinkSpec peer =
          LinkSpec.peer(request.attachment().interfaceName()).mtu(mtu).inNamespace(sandbox.netns());
      mac.ifPresent(address -> peer.mac(Mac.parse(address)));
      LinkSpec veth = LinkSpec.veth(hostName, peer).mtu(mtu).master(master).up();
      try {
        host.rtnetlink().execute(veth.request());
        return hostName;
      } catch (NetlinkException e) {
        if (!e.is(Errno.EEXIST)) {
          throw e;
        }
        boolean unlucky = host.rtnetlink().link(hostName).isPresent();
        if (!unlucky || attempt == MAX_NAME_ATTEMPTS) {
          throw DuplicateInterfaceName.error(request.attachment(), e);
        }
      }
    }
  }
}
