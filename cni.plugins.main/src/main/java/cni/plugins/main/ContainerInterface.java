package cni.plugins.main;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Result;
import cni.netlink.ffm.route.Link;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.LinkOwnership;
import cni.plugins.support.NetNsSession;
import java.io.IOException;

/** Operations of the interface plugins on the attachment's interface in the container. */
public final class ContainerInterface {
  private ContainerInterface() {}

  /**
   * Combines the interfaces of one result with the addresses, routes and DNS settings of an ipam
   * result. The addresses belong to the last of the interfaces.
   */
  public static Result withAddresses(Result created, Result assigned) {
    int index = created.interfaces().size() - 1;
    return new Result(
        created.interfaces(),
        assigned.ips().stream().map(ip -> ip.withInterface(index)).toList(),
        assigned.routes(),
        assigned.dns());
  }

  /**
   * Compares the attachment's interface, its addresses and the routes with the previous result.
   *
   * @param kind the expected kind of link, as the kernel names it; empty for any
   * @return the link
   * @throws CniException code 999 for the first mismatch, code 7 if the previous result does not
   *     list the interface
   */
  public static Link check(AttachmentRequest request, NetNsSession container, String kind)
      throws CniException {
    Result result = request.requirePrevResult();
    int index = AttachmentCheck.requireIndex(request, result);
    Result.Interface expected = result.interfaces().get(index);
    String where = "the container (" + expected.sandbox() + ")";
    Link link = AttachmentCheck.requireLink(container, expected, where);
    if (!kind.isEmpty()) {
      AttachmentCheck.requireKind(link, kind, where);
    }
    if (!link.isUp()) {
      throw AttachmentCheck.mismatch(
          "interface " + link.name() + " in " + where + " is down, expected up");
    }
    AttachmentCheck.requireAddresses(container, link, result.ipsOf(index));
    AttachmentCheck.requireRoutes(container, result.routes());
    return link;
  }

  /**
   * Deletes the attachment's interface, as {@link LinkOwnership#deleteInterface} does.
   *
   * @return whether an interface was deleted that is certain to be the attachment's
   * @throws CniException if the container's namespace cannot be used
   * @throws IOException if the kernel refuses
   */
  public static boolean delete(AttachmentRequest request, String kind)
      throws CniException, IOException {
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      return LinkOwnership.deleteInterface(request, host, kind);
    }
  }
}
