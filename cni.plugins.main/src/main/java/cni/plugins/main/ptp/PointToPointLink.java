// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.ptp;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.api.Rollback;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.plugins.main.ContainerInterface;
import cni.plugins.support.AttachmentAlias;
import cni.plugins.support.Forwarding;
import cni.plugins.support.InterfaceConfigurator;
import cni.plugins.support.Ipam;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.VethPair;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A veth between a container and the host, with the addresses and routes that make it a
 * point-to-point link: only the gateway is on-link for the container; everything else, its own
 * network included, is routed through the gateway.
 */
final class PointToPointLink {
  private final AttachmentRequest request;
  private final NetNsSession host;
  private final NetNsSession container;
  private final String name;

  PointToPointLink(AttachmentRequest request, NetNsSession host, NetNsSession container) {
    this.request = request;
    this.host = host;
    this.container = container;
    this.name = request.attachment().interfaceName();
  }

  /**
   * Creates the pair and configures both ends.
   *
   * @param mtu of both ends in bytes, 0 for the kernel's default
   * @return a result with the host's end, the container's end, and the ipam result
   */
  Result create(int mtu, Rollback rollback) throws CniException, IOException {
    String hostName = VethPair.create(request, host, container, mtu, 0, Optional.empty());
    Ipam.Detach delete =
        () -> host.rtnetlink().executeIgnoring(LinkRequests.delete(hostName), Errno.ENODEV);
    rollback.add(delete::detach);
    var configurator = InterfaceConfigurator.start(container, name, false);
    Link hostEnd =
        host.rtnetlink()
            .linksAfter(AttachmentAlias.request(request, hostName), hostName)
            .getFirst();
    Link containerEnd = container.rtnetlink().links(name).getFirst();
    Result created =
        ContainerInterface.withAddresses(
            Result.EMPTY.withInterfaces(
                List.of(
                    new Result.Interface(hostName, hostEnd.mac(), 0, ""),
                    new Result.Interface(
                        name, containerEnd.mac(), 0, request.attachment().sandbox()))),
            Ipam.add(request, rollback, delete).orElseThrow());
    requireGateways(created.ips());
    Forwarding.enable(host, created.ips());
    Forwarding.disableAcceptRa(host, hostEnd);
    if (created.ips().stream().anyMatch(ip -> !ip.address().isV4())) {
      // The host is alone on its side of the link, and with a tentative address it does not
      // forward. If it cannot be set, that takes a second or two.
      Forwarding.disableDad(host, hostName);
    }
    host.rtnetlink().execute(hostRequests(hostEnd, created.ips()));
    configurator.apply(
        containerEnd.index(),
        created,
        1,
        containerRequests(containerEnd, created.ips()),
        request.context().deadline());
    return created;
  }

  static void requireGateways(List<Result.IpConfig> ips) throws CniException {
    for (Result.IpConfig ip : ips) {
      if (ip.gateway().isEmpty()) {
        throw new CniException(
            ErrorCode.INVALID_CONFIG,
            "ptp needs a gateway for each address, for the end on the host; the ipam plugin gave"
                + " none for "
                + ip.address());
      }
    }
  }

  private static List<Cidr> gateways(List<Result.IpConfig> ips) {
    return ips.stream().map(ip -> Cidr.ofHost(ip.gateway().orElseThrow())).distinct().toList();
  }

  /** Returns the requests that add the gateways and the routes to the container on the host. */
  private static List<NetlinkRequest> hostRequests(Link hostEnd, List<Result.IpConfig> ips) {
    List<NetlinkRequest> requests = new ArrayList<>();
    for (Cidr gateway : gateways(ips)) {
      requests.add(gatewayAddress(hostEnd, gateway).addRequest());
    }
    for (Result.IpConfig ip : ips) {
      requests.add(routeToContainer(hostEnd, ip).addRequest());
    }
    return requests;
  }

  /** Returns a gateway's address of the host's end. */
  static InterfaceAddress gatewayAddress(Link hostEnd, Cidr gateway) {
    int flags = gateway.isV4() ? 0 : RtnetlinkConstants.IFA_F_NODAD;
    return new InterfaceAddress(hostEnd.index(), gateway.address(), gateway.prefix(), flags);
  }

  /** Returns the host's route to an address of the container. */
  static Route routeToContainer(Link hostEnd, Result.IpConfig ip) {
    Cidr address = Cidr.ofHost(ip.address().address());
    return Route.unicast(
            address.address(), address.prefix(), new Route.Hop(hostEnd.index(), Optional.empty()))
        .withAttributes(
            0, RtnetlinkConstants.RT_TABLE_MAIN, RtnetlinkConstants.RT_SCOPE_HOST, 0, 0);
  }

  /**
   * Returns the requests that replace the kernel's on-link route to the network by an on-link route
   * to the gateway and a route to the network through the gateway.
   */
  private static List<NetlinkRequest> containerRequests(
      Link containerEnd, List<Result.IpConfig> ips) {
    List<NetlinkRequest> requests = new ArrayList<>();
    for (Result.IpConfig ip : ips) {
      directRoute(containerEnd, ip)
          .ifPresent(direct -> requests.add(direct.deleteKernelRouteRequest()));
      routesOfContainer(containerEnd, ip).forEach(route -> requests.add(route.addRequest()));
    }
    return requests;
  }

  /**
   * Returns the route to an address's network that the kernel adds and ptp replaces; empty if the
   * network has no other address.
   */
  static Optional<Route> directRoute(Link containerEnd, Result.IpConfig ip) {
    Cidr network = ip.address().network();
    return network.prefix() == InetAddresses.bits(network.address())
        ? Optional.empty()
        : Optional.of(
            Route.unicast(
                network.address(),
                network.prefix(),
                new Route.Hop(containerEnd.index(), Optional.empty())));
  }

  /**
   * Returns the container's routes for an address: to its gateway, and through that to its network,
   * if the network has other addresses.
   */
  static List<Route> routesOfContainer(Link containerEnd, Result.IpConfig ip) {
    Cidr network = ip.address().network();
    InetAddress source = ip.address().address();
    Cidr gateway = Cidr.ofHost(ip.gateway().orElseThrow());
    List<Route> routes = new ArrayList<>();
    routes.add(
        Route.unicast(
                gateway.address(),
                gateway.prefix(),
                new Route.Hop(containerEnd.index(), Optional.empty()))
            .withSource(source));
    if (directRoute(containerEnd, ip).isPresent()) {
      routes.add(
          Route.unicast(
                  network.address(),
                  network.prefix(),
                  new Route.Hop(containerEnd.index(), ip.gateway()))
              .withSource(source));
    }
    return routes;
  }
}
