// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.net.InetAddress;
import java.util.Comparator;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The way from the host to an address of a container.
 *
 * @param link the index of the host's interface that the container is reached by without a gateway;
 *     absent if there is none
 * @param obstacle what discards packets to the address, and what removes it; absent if nothing does
 */
record ContainerRoute(OptionalInt link, Optional<String> obstacle) {
  private static final ContainerRoute NONE =
      new ContainerRoute(OptionalInt.empty(), Optional.empty());

  /** Asks the kernel of the host. */
  static ContainerRoute of(NetNsSession host, Cidr container) throws IOException {
    try {
      Route.Hop hop = host.rtnetlink().routeTo(container.address()).hops().getFirst();
      boolean isDirect = hop.link() != 0 && hop.gateway().isEmpty();
      return isDirect ? new ContainerRoute(OptionalInt.of(hop.link()), Optional.empty()) : NONE;
    } catch (NetlinkException e) {
      // fib_props of net/ipv4/fib_semantics.c
      return switch (e.errno()) {
        case Errno.ENETUNREACH -> NONE;
        case Errno.EINVAL ->
            discarding(host, container, RtnetlinkConstants.RTN_BLACKHOLE, "blackhole");
        case Errno.EACCES ->
            discarding(host, container, RtnetlinkConstants.RTN_PROHIBIT, "prohibit");
        case Errno.EHOSTUNREACH ->
            discarding(host, container, RtnetlinkConstants.RTN_UNREACHABLE, "unreachable");
        default -> throw e;
      };
    }
  }

  private static ContainerRoute discarding(
      NetNsSession host, Cidr container, int type, String typeName) throws IOException {
    String address = InetAddresses.format(container.address());
    String obstacle =
        find(host.rtnetlink(), container.address(), type)
            .map(
                it ->
                    "the host's route \"%1$s\" discards packets to %2$s: delete it by \"ip route del %1$s\""
                        .formatted(describe(it, typeName), address))
            .orElseGet(
                () ->
                    "a rule or route of type %s of the host discards packets to %s: \"ip rule\" and \"ip route show table all type %s\" list them"
                        .formatted(typeName, address, typeName));
    return new ContainerRoute(OptionalInt.empty(), Optional.of(obstacle));
  }

  /** Returns the most specific route of a type to an address in any table. */
  private static Optional<Route> find(RouteSocket routing, InetAddress address, int type)
      throws IOException {
    return routing.routes(IpFamily.of(address)).stream()
        .filter(it -> it.type() == type)
        .filter(it -> new Cidr(it.destination(), it.prefix()).contains(address))
        .max(Comparator.comparingInt(Route::prefix));
  }

  private static String describe(Route route, String typeName) {
    String table =
        route.table() == RtnetlinkConstants.RT_TABLE_MAIN
            ? ""
            : " table " + Integer.toUnsignedString(route.table());
    return "%s %s/%d%s"
        .formatted(typeName, InetAddresses.format(route.destination()), route.prefix(), table);
  }

  /**
   * Requires that nothing discards packets to the address.
   *
   * @throws CniException code 999 if something does
   */
  void requireNoObstacle() throws CniException {
    if (obstacle.isPresent()) {
      throw new CniException(ErrorCode.INTERNAL, obstacle.get());
    }
  }
}
