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

/** The routes that a server tells. */
final class Dhcpv4Routes {
  private static final int SCOPE_LINK = 253;

  private Dhcpv4Routes() {}

  /**
   * Classless ones (RFC 3442) stand for all others; without them the classful ones and the default
   * route by the first router.
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

  /** Each is the length of a prefix, those bytes of it that count, and a router. */
  private static List<Result.Route> classless(byte[] value) {
    List<Result.Route> routes = new ArrayList<>();
    int at = 0;
    while (at < value.length) {
      int prefix = Byte.toUnsignedInt(value[at]);
      int significant = (prefix + 7) / 8;
      int router = at + 1 + significant;
      if (prefix > 32 || router + 4 > value.length) {
        return List.of(); // malformed: as if it were not there
      }
      byte[] network = Arrays.copyOf(Arrays.copyOfRange(value, at + 1, router), 4);
      InetAddress gateway = InetAddresses.of(Arrays.copyOfRange(value, router, router + 4));
      routes.add(route(new Cidr(InetAddresses.of(network), prefix).network(), gateway));
      at = router + 4;
    }
    return routes;
  }

  /** Router 0.0.0.0 says that the network is on the link. */
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
