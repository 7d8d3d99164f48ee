// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.Cidr;
import cni.api.InetAddresses;
import cni.api.Result;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/** The routes in a server's reply. */
final class Dhcpv4Routes {
  private static final int SCOPE_LINK = 253;

  private Dhcpv4Routes() {}

  /**
   * Returns the classless routes (RFC 3442), which override all others; without them the classful
   * routes and a default route through the first router.
   */
  static List<Result.Route> of(Dhcpv4Message message) {
    byte[] classless =
        message.options().getOrDefault(DhcpClientOptions.CLASSLESS_ROUTES, new byte[0]);
    List<Result.Route> routes = new ArrayList<>(classless(classless));
    if (!routes.isEmpty()) {
      return routes;
    }
    List<InetAddress> pairs = message.addresses(DhcpClientOptions.STATIC_ROUTES);
    for (int i = 0; i + 1 < pairs.size(); i += 2) {
      routes.add(
          new Result.Route(
              new Cidr(pairs.get(i), classfulPrefix(pairs.get(i))).network(),
              Optional.of(pairs.get(i + 1))));
    }
    message.addresses(DhcpClientOptions.ROUTERS).stream()
        .findFirst()
        .ifPresent(it -> routes.add(new Result.Route(Cidr.defaultRoute(it), Optional.of(it))));
    return routes;
  }

  /** Parses entries of prefix length, significant octets of the destination, and router. */
  private static List<Result.Route> classless(byte[] value) {
    List<Result.Route> routes = new ArrayList<>();
    int at = 0;
    while (at < value.length) {
      int prefix = Byte.toUnsignedInt(value[at]);
      int significant = (prefix + 7) / 8;
      int router = at + 1 + significant;
      if (prefix > 32 || router + 4 > value.length) {
        return List.of(); // malformed: ignore the option
      }
      byte[] network = Arrays.copyOf(Arrays.copyOfRange(value, at + 1, router), 4);
      InetAddress gateway = InetAddresses.of(Arrays.copyOfRange(value, router, router + 4));
      routes.add(route(new Cidr(InetAddresses.of(network), prefix).network(), gateway));
      at = router + 4;
    }
    return routes;
  }

  /** Router 0.0.0.0 means that the destination is on the link. */
  private static Result.Route route(Cidr destination, InetAddress gateway) {
    return gateway.isAnyLocalAddress()
        ? new Result.Route(
            destination,
            Optional.empty(),
            0,
            0,
            0,
            OptionalLong.empty(),
            OptionalInt.of(SCOPE_LINK))
        : new Result.Route(destination, Optional.of(gateway));
  }

  private static int classfulPrefix(InetAddress network) {
    int first = Byte.toUnsignedInt(network.getAddress()[0]);
    return first < 128 ? 8 : first < 192 ? 16 : 24;
  }
}
