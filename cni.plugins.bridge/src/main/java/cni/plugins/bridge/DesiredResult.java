// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Dns;
import cni.api.Result;
import cni.api.UpdateRequest;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The result of an attachment with changed configuration or arguments.
 *
 * @param request the current and the desired state
 * @param current the current configuration
 * @param desired the desired configuration
 * @param index the position of the container's interface
 */
record DesiredResult(UpdateRequest request, BridgeConfig current, BridgeConfig desired, int index) {
  /** The ipam plugin that may return default routes that its configuration does not have. */
  private static final String DHCP = "dhcp";

  /**
   * Returns the desired result.
   *
   * @param assigned the stored result with the addresses, routes and DNS settings that the ipam
   *     plugin assigns
   * @param described the container's interface as it is to be described
   */
  Result of(Result assigned, Result.Interface described) throws CniException {
    List<Result.IpConfig> ips = new ArrayList<>();
    for (Result.IpConfig ip : assigned.ips()) {
      ips.add(isOfInterface(ip) ? withGateway(ip.withInterface(index)) : ip);
    }
    List<Result.Interface> interfaces = new ArrayList<>(assigned.interfaces());
    interfaces.set(index, described);
    Result result = assigned.withIps(ips).withInterfaces(interfaces);
    return withDns(result.withRoutes(routes(result)));
  }

  private boolean isOfInterface(Result.IpConfig ip) {
    OptionalInt position = ip.interfaceIndex();
    return position.isEmpty() || position.getAsInt() == index;
  }

  private Result.IpConfig withGateway(Result.IpConfig ip) {
    return ip.gateway().isEmpty() && desired.isGateway() && desired.ipam().isPresent()
        ? ip.withGateway(Bridge.firstAddress(ip.address()))
        : ip;
  }

  /** Replaces the default routes of {@code isDefaultGateway}. */
  private List<Result.Route> routes(Result result) throws CniException {
    List<Result.Route> routes = new ArrayList<>(result.routes());
    if (current.isDefaultGateway() && !current.ipam().equals(Optional.of(DHCP))) {
      List<Cidr> configured = configuredDestinations();
      for (Result.IpConfig ip : request.current().requirePrevResult().ipsOf(index)) {
        routes.removeIf(
            route -> isDefaultBy(route, ip) && !configured.contains(route.destination()));
      }
    }
    if (desired.isDefaultGateway()) {
      for (Result.IpConfig ip : result.ipsOf(index)) {
        BridgeAttachment.addDefaultRoute(ip, routes);
      }
    }
    return routes;
  }

  private static boolean isDefaultBy(Result.Route route, Result.IpConfig ip) {
    Optional<InetAddress> gateway = ip.gateway();
    return gateway.isPresent()
        && route.gateway().equals(gateway)
        && route.destination().equals(Cidr.defaultRoute(gateway.get()));
  }

  private List<Cidr> configuredDestinations() throws CniException {
    List<Cidr> destinations = new ArrayList<>();
    Optional<ConfigObject> ipam = request.desired().config().ipam();
    if (ipam.isPresent()) {
      for (ConfigObject route : ipam.get().objects("routes")) {
        destinations.add(Result.Route.parse(route).destination());
      }
    }
    return destinations;
  }

  private Result withDns(Result result) {
    boolean configuredBefore = !current.dns().isEmpty() && result.dns().equals(current.dns());
    Result without =
        configuredBefore
            ? new Result(result.interfaces(), result.ips(), result.routes(), Dns.NONE)
            : result;
    return without.withDns(desired.dns());
  }
}
