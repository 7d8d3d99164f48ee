// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Result;
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
