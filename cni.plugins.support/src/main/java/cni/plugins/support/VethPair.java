// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Result;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkSpec;
import cni.netlink.ffm.route.Mac;
import java.io.IOException;
import java.util.HexFormat;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Veth pairs between a container and the host. The container's end is created inside the
 * container's namespace ({@code IFLA_NET_NS_FD} in the peer's attributes): moving and renaming an
 * interface afterwards would cost RCU grace periods.
 */
public final class VethPair {
  private static final int MAX_NAME_ATTEMPTS = 10;

  private VethPair() {}

  /**
   * Returns a random name for the host's end, in the form of the reference plugins: {@code veth}
   * and eight hexadecimal digits.
   */
  public static String randomName() {
    return "veth" + HexFormat.of().toHexDigits(ThreadLocalRandom.current().nextInt());
  }

  /**
   * Deletes a pair by its end on the host, if it still exists: it is usually deleted with the
   * container's namespace, and another interface may have its name by now. Only a veth with the
   * attachment's alias, or without one and with the hardware address of the result, is deleted.
   *
   * @param end the interface as a result lists it; ignored if it is not on the host
   * @throws IOException if the kernel refuses
   */
  public static void deleteByHostEnd(
      AttachmentRequest request, NetNsSession host, Result.Interface end) throws IOException {
    Optional<Link> link =
        end.isOnHost() && !end.mac().isEmpty()
            ? host.rtnetlink().link(end.name())
            : Optional.empty();
    if (link.isPresent() && link.get().isKind("veth") && isHostEnd(link.get(), request, end)) {
      host.deleteLink(link.get().index());
    }
  }

  private static boolean isHostEnd(Link link, AttachmentRequest request, Result.Interface end) {
    return AttachmentAlias.parse(link.alias()).isPresent()
        ? link.alias().equals(AttachmentAlias.ofOrEmpty(request))
        : link.mac().equalsIgnoreCase(end.mac());
  }

  /**
   * Creates a pair in one message. The host's end is up. The container's end has the attachment's
   * name and is down: the kernel cannot set a peer up in the message that creates it (ENOTCONN).
   *
   * @param mtu of both ends in bytes, 0 for the kernel's default
   * @param master the index of the bridge that the host's end becomes a port of, 0 for none
   * @param mac the hardware address of the container's end; if empty the kernel chooses one
   * @return the name of the host's end
   * @throws CniException code 4 if the container has an interface of that name
   * @throws IOException if the kernel refuses
   */
  public static String create(
      AttachmentRequest request,
      NetNsSession host,
      NetNsSession container,
      int mtu,
      int master,
      Optional<String> mac)
      throws CniException, IOException {
    for (int attempt = 1; ; attempt++) {
      String hostName = randomName();
      LinkSpec peer =
          LinkSpec.peer(request.attachment().interfaceName())
              .mtu(mtu)
              .inNamespace(container.netns());
      mac.ifPresent(address -> peer.mac(Mac.parse(address)));
      LinkSpec veth = LinkSpec.veth(hostName, peer).mtu(mtu).master(master).up();
      try {
        host.rtnetlink().execute(veth.request());
        return hostName;
      } catch (NetlinkException e) {
        if (!e.is(Errno.EEXIST)) {
          throw e;
        }
        boolean hostNameTaken = host.rtnetlink().link(hostName).isPresent();
        if (!hostNameTaken || attempt == MAX_NAME_ATTEMPTS) {
          throw DuplicateInterfaceName.error(request.attachment(), e);
        }
      }
    }
  }
}
