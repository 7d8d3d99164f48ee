// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static cni.netlink.ffm.route.LinkConstants.IFLA_AF_SPEC;
import static cni.netlink.ffm.route.LinkConstants.IFLA_BRPORT_MODE;
import static cni.netlink.ffm.route.LinkConstants.IFLA_INET_CONF;
import static cni.netlink.ffm.route.LinkConstants.IFLA_INFO_SLAVE_DATA;
import static cni.netlink.ffm.route.LinkConstants.IFLA_LINKINFO;
import static cni.netlink.ffm.route.LinkConstants.IPV4_DEVCONF_ROUTE_LOCALNET;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;

/**
 * Settings of a link that {@link LinkRequests} changes and that {@link Link} does not have.
 *
 * @param routeLocalnet the link's own {@code route_localnet}; the kernel also heeds that of {@code
 *     all}
 * @param hairpin whether the link is a bridge port in hairpin mode
 */
public record LinkSettings(boolean routeLocalnet, boolean hairpin) {
  static LinkSettings read(ByteBuffer message) throws MalformedMessageException {
    Attributes link = RouteMessages.attributes(message, Link.IFINFOMSG);
    return new LinkSettings(readRouteLocalnet(link), readHairpin(link));
  }

  /** Reads an element of IFLA_INET_CONF, an array of s32 whose indexes begin with 1. */
  private static boolean readRouteLocalnet(Attributes link) throws MalformedMessageException {
    Optional<Attributes> families = link.nested(IFLA_AF_SPEC);
    Optional<Attributes> inet =
        families.isEmpty() ? families : families.get().nested(RtnetlinkConstants.AF_INET);
    List<ByteBuffer> conf = inet.isEmpty() ? List.of() : inet.get().all(IFLA_INET_CONF);
    int offset = Integer.BYTES * (IPV4_DEVCONF_ROUTE_LOCALNET - 1);
    return !conf.isEmpty()
        && conf.getLast().remaining() >= offset + Integer.BYTES
        && conf.getLast().getInt(offset) != 0;
  }

  private static boolean readHairpin(Attributes link) throws MalformedMessageException {
    Optional<Attributes> info = link.nested(IFLA_LINKINFO);
    Optional<Attributes> port = info.isEmpty() ? info : info.get().nested(IFLA_INFO_SLAVE_DATA);
    return port.isPresent() && port.get().u8(IFLA_BRPORT_MODE).orElse(0) != 0;
  }
}
