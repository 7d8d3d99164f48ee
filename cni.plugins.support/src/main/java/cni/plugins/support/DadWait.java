// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.time.Duration;

/**
 * Waits for IPv6 duplicate address detection (RFC 4862 section 5.4). Until it ends an address is
 * tentative ({@code IFA_F_TENTATIVE}) and cannot be the source of a packet or of a route.
 */
final class DadWait {
  /** As long as the reference plugins wait. */
  private static final Duration TIMEOUT = Duration.ofSeconds(5);

  private DadWait() {}

  /**
   * Waits until no address of an interface is tentative. Without a carrier detection cannot run; in
   * that case the addresses are left tentative after the timeout, and the kernel completes
   * detection when the carrier comes up.
   *
   * @param rtnetlink of the interface's namespace
   * @param link the interface's index
   * @param name the interface's name
   * @throws CniException code 11 if another host has one of the addresses, if detection does not
   *     end within 5 s, or if the deadline passes
   * @throws IOException if the kernel cannot be queried
   */
  static void await(RouteSocket rtnetlink, int link, String name, Deadline deadline)
      throws CniException, IOException {
    var backoff = new Backoff(TIMEOUT);
    while (hasTentative(rtnetlink, link, name)) {
      if (!backoff.pause("waiting for duplicate address detection", deadline)) {
        if (!hasCarrier(rtnetlink, name)) {
          return;
        }
        throw new CniException(
            ErrorCode.TRY_AGAIN_LATER,
            "interface " + name + " still has tentative addresses after " + TIMEOUT);
      }
    }
  }

  private static boolean hasTentative(RouteSocket rtnetlink, int link, String name)
      throws CniException, IOException {
    boolean tentative = false;
    for (InterfaceAddress address : rtnetlink.addresses(link)) {
      if (address.isDuplicate()) {
        throw new CniException(
            ErrorCode.TRY_AGAIN_LATER,
            "address "
                + InetAddresses.format(address.address())
                + " of interface "
                + name
                + " is in use by another host on this network (duplicate address detection)");
      }
      tentative |= address.isTentative();
    }
    return tentative;
  }

  private static boolean hasCarrier(RouteSocket rtnetlink, String name) throws IOException {
    Link.OperState state = rtnetlink.links(name).getFirst().operState();
    return state == Link.OperState.UP || state == Link.OperState.UNKNOWN;
  }
}
